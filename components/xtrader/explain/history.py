"""The history of one intent: risk's decision and every order event after it, as both journals hold them.

`find_history` searches the journals by any id; `RecentHistories` is updated record by record during a run.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from components.contracts.decisions import CommandRejected, Decision, DecisionMessage
from components.contracts.errors import CorruptData, UsageError
from components.contracts.orders import (
    ControlReceived,
    Filled,
    IntentReceived,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
)
from components.contracts.signals import Intent
from components.contracts.streams import DECISIONS, ORDERS, Stream
from components.contracts.values import ZERO, Side, Symbol
from components.runtime.bus.codec import InvalidFrame, message_decoder
from components.runtime.clock import NS_PER_MS
from components.runtime.journal.reader import read_records
from components.runtime.paths import Paths

LAST: Final = "last"
INTENT_RECEIVED_TAG: Final = str(IntentReceived.__struct_config__.tag).encode()
"""Every record of an IntentReceived contains it; only records that do are decoded to find the last order."""
HISTORIES_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One record of execution's journal, or risk's record that execution rejected the command."""

    sequence: int
    record: OrderMessage | CommandRejected

    @property
    def at_ns(self) -> int:
        """When it happened."""
        return self.record.at_ns


@dataclass(slots=True)
class OrderHistory:
    """What is known of one intent; events are added as records arrive."""

    order_id: str
    decision: Decision | None = None
    decision_sequence: int = 0
    events: list[HistoryEvent] = field(default_factory=list)

    @property
    def intent(self) -> Intent | None:
        """The intent, from whichever journal holds it; None for an external order."""
        if self.decision is not None:
            return self.decision.intent
        return next((one.record.intent for one in self.events if isinstance(one.record, IntentReceived)), None)

    @property
    def client_order_id(self) -> str | None:
        """The client order id; the newest if there were several attempts."""
        ids = (getattr(one.record, "client_order_id", None) for one in reversed(self.events))
        return next((name for name in ids if name), None)

    @property
    def state(self) -> OrderState | None:
        """The order's last state; None if execution never received it."""
        for event in reversed(self.events):
            match event.record:
                case OrderUpdated(state=state):
                    return state
                case OrderSending():
                    return OrderState.SENDING
                case IntentReceived():
                    return OrderState.RECEIVED
                case _:
                    continue
        return None

    @property
    def fills(self) -> list[Filled]:
        """Every fill of the order."""
        return [event.record for event in self.events if isinstance(event.record, Filled)]

    @property
    def symbol(self) -> Symbol | None:
        """The traded symbol."""
        return next(iter(self._values_of("symbol")), None)

    @property
    def side(self) -> Side | None:
        """Buy or sell."""
        return next(iter(self._values_of("side")), None)

    @property
    def filled_quantity(self) -> Decimal:
        """The sum of all fills."""
        return sum((fill.quantity for fill in self.fills), ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """The average fill price; None before the first fill."""
        notional = sum((fill.quantity * fill.price for fill in self.fills), ZERO)
        return notional / self.filled_quantity if self.filled_quantity else None

    def since_tick_ms(self, at_ns: int) -> float | None:
        """Return the time since the venue's frame was decoded, in milliseconds; None if no tick is known."""
        return None if self.intent is None else (at_ns - self.intent.tick_at_ns) / NS_PER_MS

    def _values_of(self, name: str) -> list[Any]:
        sources = (self.intent, *(event.record for event in self.events))
        return [value for one in sources if (value := getattr(one, name, None)) is not None]


def identifiers_of(message: OrderMessage | DecisionMessage) -> set[str]:
    """Return every id by which a record can be found; a cancel or withdrawal has those of its order."""
    subject: object = message
    match message:
        case Decision(intent=intent):
            return {intent.intent_id, intent.signal_id}
        case IntentReceived(intent=intent, client_order_id=name):
            return {intent.intent_id, name}
        case ControlReceived(control=control):
            subject = control
        case _:
            pass
    ids = (getattr(subject, field_name, None) for field_name in ("client_order_id", "intent_id"))
    return {name for name in ids if name}


def find_history(paths: Paths, order_id: str) -> OrderHistory | None:
    """Return a history by client order id, intent id, signal id or the word `last`; None if no journal holds it."""
    name = _last_client_order_id(paths) if order_id == LAST else order_id
    if not name:
        return None
    history = OrderHistory(name, events=_events(paths, name))
    _add_decision(paths, history, history.intent.intent_id if history.intent else name)
    if history.decision is not None and not history.events:
        history.events = _events(paths, history.decision.intent.intent_id)
    return history if history.decision or history.events else None


def _last_client_order_id(paths: Paths) -> str | None:
    last = None
    for _, payload in _payloads(paths.journal("execution")):
        if INTENT_RECEIVED_TAG in payload:
            last = payload
    received = None if last is None else message_decoder(ORDERS)(last)
    return received.client_order_id if isinstance(received, IntentReceived) else None


def _events(paths: Paths, name: str) -> list[HistoryEvent]:
    """Return execution's records of this client order id, or of every attempt of this intent."""
    records = _records_containing(paths.journal("execution"), ORDERS, name)
    return [HistoryEvent(sequence, record) for sequence, record in records if name in identifiers_of(record)]


def _add_decision(paths: Paths, history: OrderHistory, name: str) -> None:
    """Search risk's log by the id itself, which may be a signal's, then by the signal id in an intent's id."""
    for signal_id in (name, name.rpartition("-")[0]):
        if not signal_id or history.decision is not None:
            continue
        for sequence, message in _records_containing(paths.journal("risk"), DECISIONS, signal_id):
            if name not in identifiers_of(message):
                continue
            if isinstance(message, Decision):
                history.decision, history.decision_sequence = message, sequence
            elif isinstance(message, CommandRejected):
                history.events.append(HistoryEvent(sequence, message))


def _records_containing(folder: Path, stream: Stream, name: str) -> Iterator[tuple[int, Any]]:
    """Decode only the records whose bytes contain the id: ids are encoded as plain text."""
    decode, needle = message_decoder(stream), name.encode()
    for sequence, payload in _payloads(folder):
        if needle in payload:
            try:
                yield sequence, decode(payload)
            except InvalidFrame as error:
                raise CorruptData(f"{folder}: record {sequence}: {error.detail}") from error


def _payloads(folder: Path) -> Iterator[tuple[int, bytes]]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no journal yet; no order was sent with this state")
    for record in read_records(folder):
        yield record.sequence, record.payload


class RecentHistories:
    """Histories by intent id (external orders by client order id); above the limit the oldest is dropped."""

    def __init__(self) -> None:
        self._histories: OrderedDict[str, OrderHistory] = OrderedDict()

    def add_decision(self, sequence: int, message: DecisionMessage) -> None:
        """Add a decision, to an existing history if its order events were read first."""
        if isinstance(message, Decision):
            history = self._get_or_create(message.intent.intent_id)
            history.decision, history.decision_sequence = message, sequence

    def add_order_event(self, sequence: int, message: OrderMessage) -> None:
        """Add a record of execution's journal."""
        match message:
            case IntentReceived(intent=intent):
                name: str | None = intent.intent_id
            case OrderSending() | OrderUpdated() | Filled():
                name = message.intent_id or message.client_order_id
            case ControlReceived(control=control):
                name = getattr(control, "intent_id", None)
            case _:
                name = None
        if name is not None:
            self._get_or_create(name).events.append(HistoryEvent(sequence, message))

    def history_of(self, fill: Filled) -> OrderHistory:
        """Return the history that a fill belongs to."""
        return self._get_or_create(fill.intent_id or fill.client_order_id)

    def __iter__(self) -> Iterator[OrderHistory]:
        """Iterate over the histories, the newest first."""
        return reversed(self._histories.values())

    def _get_or_create(self, name: str) -> OrderHistory:
        if name not in self._histories:
            self._histories[name] = OrderHistory(name)
            if len(self._histories) > HISTORIES_MAX:
                self._histories.popitem(last=False)
        return self._histories[name]
