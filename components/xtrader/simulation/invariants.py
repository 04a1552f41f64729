"""What must never happen, checked the moment it would: on disks, on the wire and in the venue's own books."""

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
"""Nobody else trades on this account, and no file is damaged: these can only be mistakes."""


class InvariantViolated(Exception):
    """Something happened that must not; the run ends here."""


class InvariantChecker:
    """Remembers what was promised to be kept, and holds every answer and every order against it."""

    def __init__(self) -> None:
        self.durable_records: dict[str, list[bytes]] = {name: [] for name in RECORD_DECODERS}
        """The records that each journal has called durable, as they were written."""
        self._record_ids: dict[str, list[str]] = {name: [] for name in RECORD_DECODERS}
        self._received_intents: set[IntentId] = set()
        self._journaled_orders: set[ClientOrderId] = set()
        self.approved = 0

    def on_durable(self, journal: str, sequence: int, payload: bytes) -> None:
        """Note a record that is on disk now."""
        kept = self.durable_records[journal]
        if sequence != len(kept) + 1:
            raise InvariantViolated(f"{journal} wrote record {sequence} after {len(kept)}")
        kept.append(payload)
        self._record_ids[journal].append(self._check_record(RECORD_DECODERS[journal](payload)))

    def on_journal_opened(self, journal: str, payloads: Iterable[bytes]) -> None:
        """Compare a journal that was opened with what it had called durable; more may have survived, never less."""
        found, kept = list(payloads), self.durable_records[journal]
        for sequence, payload in enumerate(kept, 1):
            if sequence > len(found) or found[sequence - 1] != payload:
                raise InvariantViolated(f"{journal} lost record {sequence} of {len(kept)}, which had been durable")
        for sequence in range(len(kept) + 1, len(found) + 1):
            self.on_durable(journal, sequence, found[sequence - 1])

    def on_reply(self, frames: tuple[bytes, bytes, bytes]) -> None:
        """Hold an acknowledgement or a verdict against the disk, before it leaves."""
        decode = REPLY_DECODERS.get(frames[0])
        match decode(frames[2]) if decode is not None else None:
            case Accepted(command_id=name, sequence=sequence):
                self._check_durable("execution", name, sequence)
            case ApprovalReply(intent_id=name, sequence=sequence):
                self._check_durable("risk", name, sequence)
            case _:
                return

    def on_order_sent(self, name: ClientOrderId) -> None:
        """Hold an order that leaves for the venue against execution's journal."""
        if name not in self._journaled_orders:
            raise InvariantViolated(f"order {name} leaves for the venue and is in no journal")

    def _check_durable(self, journal: str, name: str, sequence: int) -> None:
        names = self._record_ids[journal]
        if sequence > len(names) or names[sequence - 1] != name:
            raise InvariantViolated(f"{journal} answers {name} by record {sequence}, which is not on its disk")

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
            case CauseRaised(cause=cause, reason=why) if cause in IMPOSSIBLE_CAUSES:
                raise InvariantViolated(f"risk halts for good with nothing wrong: {cause}: {why}")
            case Decision(intent=intent):
                self.approved += record.allowed
                return intent.intent_id
            case _:
                return ""
