"""Invariants that are checked at every effect: on disks, on the wire and at the venue."""

from collections.abc import Iterable
from typing import Any, Final

from components.contracts.commands import Accepted
from components.contracts.decisions import ApprovalReply, CauseRaised, Decision
from components.contracts.orders import ControlReceived, IntentReceived, OrderSending
from components.contracts.streams import COMMANDS, DECISIONS, ORDERS, RISK_REQUESTS
from components.contracts.trading import Cause
from components.contracts.values import ClientOrderId, IntentId
from components.runtime.bus.codec import message_decoder, reply_decoder

RECORD_DECODERS: Final = {"execution": message_decoder(ORDERS), "risk": message_decoder(DECISIONS)}
REPLY_DECODERS: Final = {stream.name.encode(): reply_decoder(stream) for stream in (COMMANDS, RISK_REQUESTS)}
IMPOSSIBLE_CAUSES: Final = frozenset({Cause.DIVERGENCE, Cause.ID_COLLISION})
"""No other client trades on this account and no file is damaged, so these can only be raised by a bug."""


class InvariantViolated(Exception):
    """An invariant does not hold; the run ends here."""


class InvariantChecker:
    """Records what was made durable, and compares every reply and every sent order with it."""

    def __init__(self) -> None:
        self.durable_records: dict[str, list[bytes]] = {name: [] for name in RECORD_DECODERS}
        """The records that each journal has reported as durable, as they were written."""
        self._record_ids: dict[str, list[str]] = {name: [] for name in RECORD_DECODERS}
        self._received_intents: set[IntentId] = set()
        self._journaled_orders: set[ClientOrderId] = set()
        self.approved = 0

    def on_durable(self, journal: str, sequence: int, payload: bytes) -> None:
        """Add a record that is durable now."""
        durable = self.durable_records[journal]
        if sequence != len(durable) + 1:
            raise InvariantViolated(f"{journal} wrote record {sequence} after {len(durable)}")
        durable.append(payload)
        self._record_ids[journal].append(self._check_record(RECORD_DECODERS[journal](payload)))

    def on_journal_opened(self, journal: str, payloads: Iterable[bytes]) -> None:
        """Compare an opened journal with what it had reported as durable: it may hold more records, never fewer."""
        records, durable = list(payloads), self.durable_records[journal]
        for sequence, payload in enumerate(durable, 1):
            if sequence > len(records) or records[sequence - 1] != payload:
                raise InvariantViolated(f"{journal} lost record {sequence} of {len(durable)}, which had been durable")
        for sequence in range(len(durable) + 1, len(records) + 1):
            self.on_durable(journal, sequence, records[sequence - 1])

    def on_reply(self, frames: tuple[bytes, bytes, bytes]) -> None:
        """Check, before a reply leaves, that the record it refers to is durable."""
        decode = REPLY_DECODERS.get(frames[0])
        match decode(frames[2]) if decode is not None else None:
            case Accepted(command_id=name, sequence=sequence):
                self._check_durable("execution", name, sequence)
            case ApprovalReply(intent_id=name, sequence=sequence):
                self._check_durable("risk", name, sequence)
            case _:
                return

    def on_order_sent(self, name: ClientOrderId) -> None:
        """Check, before an order is sent to the venue, that execution's journal holds it."""
        if name not in self._journaled_orders:
            raise InvariantViolated(f"order {name} is sent to the venue and is in no journal")

    def _check_durable(self, journal: str, name: str, sequence: int) -> None:
        names = self._record_ids[journal]
        if sequence > len(names) or names[sequence - 1] != name:
            raise InvariantViolated(f"{journal} replies to {name} with record {sequence}, which is not on its disk")

    def _check_record(self, record: Any) -> str:  # noqa: ANN401  # any record of either journal
        match record:
            case IntentReceived(intent=intent):
                if intent.intent_id in self._received_intents:
                    raise InvariantViolated(f"execution received intent {intent.intent_id} a second time")
                self._received_intents.add(intent.intent_id)
                return intent.intent_id
            case OrderSending(client_order_id=name):
                self._journaled_orders.add(name)
                return name
            case ControlReceived(control=control):
                return control.command_id
            case CauseRaised(cause=cause, reason=reason) if cause in IMPOSSIBLE_CAUSES:
                raise InvariantViolated(f"risk halts although nothing is wrong: {cause}: {reason}")
            case Decision(intent=intent):
                self.approved += record.allowed
                return intent.intent_id
            case _:
                return ""
