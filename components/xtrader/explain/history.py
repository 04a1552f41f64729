"""The story of one intent: risk's decision, and each order event after it, as both journals hold them.

Finds the story of an order in both journals by any of its names; nothing needs to run.

The newest stories of a run, kept while both journals are followed.
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
from components.runtime.journal import reader
from components.runtime.paths import Paths

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One record of execution's journal, or risk's word that execution refused the hand-over."""

    sequence: int
    record: OrderMessage | CommandRejected

    @property
    def at_ns(self) -> int:
        """When it was so."""
        return self.record.at_ns


@dataclass(slots=True)
class OrderHistory:
    """What is known of one intent; it grows while records arrive."""

    order_id: str
    decision: Decision | None = None
    decision_sequence: int = 0
    events: list[HistoryEvent] = field(default_factory=list)

    @property
    def intent(self) -> Intent | None:
        """What somebody wanted, from whichever journal holds it; None for an order that is not ours."""
        if self.decision is not None:
            return self.decision.intent
        return next((one.record.intent for one in self.events if isinstance(one.record, IntentReceived)), None)

    @property
    def client_order_id(self) -> str | None:
        """The name under which the venue knows the order, the newest where there were several."""
        named = (getattr(one.record, "client_order_id", None) for one in reversed(self.events))
        return next((name for name in named if name), None)

    @property
    def state(self) -> OrderState | None:
        """Where the order is; None where execution never had it."""
        for step in reversed(self.events):
            match step.record:
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
        """Every execution of it."""
        return [step.record for step in self.events if isinstance(step.record, Filled)]

    @property
    def symbol(self) -> Symbol | None:
        """What is traded."""
        return next(iter(self._values_of("symbol")), None)

    @property
    def side(self) -> Side | None:
        """Which way."""
        return next(iter(self._values_of("side")), None)

    @property
    def filled_quantity(self) -> Decimal:
        """How much of it was executed."""
        return sum((fill.quantity for fill in self.fills), ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """What was paid or got on average; None before the first fill."""
        money = sum((fill.quantity * fill.price for fill in self.fills), ZERO)
        return money / self.filled_quantity if self.filled_quantity else None

    def since_tick_ms(self, at_ns: int) -> float | None:
        """Give the time since the venue's frame was decoded; None where no tick is known."""
        return None if self.intent is None else (at_ns - self.intent.tick_at_ns) / NS_PER_MS

    def _values_of(self, name: str) -> list[Any]:
        holders = (self.intent, *(step.record for step in self.events))
        return [value for one in holders if (value := getattr(one, name, None)) is not None]


def identifiers_of(message: OrderMessage | DecisionMessage) -> set[str]:
    """Give every name under which a record may be looked for; a cancel or a withdrawal has those of its order."""
    about: object = message
    match message:
        case Decision(intent=intent):
            return {intent.intent_id, intent.signal_id}
        case IntentReceived(intent=intent, client_order_id=name):
            return {intent.intent_id, name}
        case ControlReceived(control=control):
            about = control
        case _:
            pass
    named = (getattr(about, one, None) for one in ("client_order_id", "intent_id"))
    return {one for one in named if one}


LAST: Final = "last"


INTENT_RECEIVED_TAG: Final = b"IntentReceived"


def find_history(paths: Paths, order_id: str) -> OrderHistory | None:
    """Look for a client order id, an intent id, a signal id or the word `last`; None where no journal knows it."""
    name = _last_client_order_id(paths) if order_id == LAST else order_id
    if not name:
        return None
    story = OrderHistory(name, events=_events(paths, name))
    _add_decision(paths, story, story.intent.intent_id if story.intent else name)
    if story.decision is not None and not story.events:
        story.events = _events(paths, story.decision.intent.intent_id)
    return story if story.decision or story.events else None


def _last_client_order_id(paths: Paths) -> str | None:
    last = None
    for _, payload in _payloads(paths.journal("execution")):
        if INTENT_RECEIVED_TAG in payload:
            last = payload
    received = None if last is None else message_decoder(ORDERS)(last)
    return received.client_order_id if isinstance(received, IntentReceived) else None


def _events(paths: Paths, name: str) -> list[HistoryEvent]:
    """Collect what execution wrote under this client order id, or under every attempt of this intent."""
    mentions = _records_containing(paths.journal("execution"), ORDERS, name)
    return [HistoryEvent(sequence, event) for sequence, event in mentions if name in identifiers_of(event)]


def _add_decision(paths: Paths, history: OrderHistory, name: str) -> None:
    """Look under the name itself, which may be a signal's, and under the signal that an intent's name begins with."""
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
    """Decode only the records whose bytes hold the name: an id travels as it is written."""
    decode, needle = message_decoder(stream), name.encode()
    for sequence, payload in _payloads(folder):
        if needle in payload:
            try:
                yield sequence, decode(payload)
            except InvalidFrame as error:
                raise CorruptData(f"{folder}: record {sequence}: {error.detail}") from error


def _payloads(folder: Path) -> Iterator[tuple[int, bytes]]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no journal yet; nothing was traded on this state")
    for record in reader.read_records(folder):
        yield record.sequence, record.payload


HISTORIES_MAX: Final = 200


class RecentHistories:
    """Stories by intent, the oldest dropped first; an order that is not ours goes by its client order id."""

    def __init__(self) -> None:
        self._histories: OrderedDict[str, OrderHistory] = OrderedDict()

    def add_decision(self, sequence: int, message: DecisionMessage) -> None:
        """Begin a story, or add the verdict to one whose order was read first."""
        if isinstance(message, Decision):
            story = self._get_or_create(message.intent.intent_id)
            story.decision, story.decision_sequence = message, sequence

    def add_order_event(self, sequence: int, message: OrderMessage) -> None:
        """Go on with a story."""
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
        """Give the story that a fill belongs to."""
        return self._get_or_create(fill.intent_id or fill.client_order_id)

    def __iter__(self) -> Iterator[OrderHistory]:
        """Give them, the newest first."""
        return reversed(self._histories.values())

    def _get_or_create(self, name: str) -> OrderHistory:
        if name not in self._histories:
            self._histories[name] = OrderHistory(name)
            if len(self._histories) > HISTORIES_MAX:
                self._histories.popitem(last=False)
        return self._histories[name]
