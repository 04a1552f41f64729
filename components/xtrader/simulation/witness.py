"""What must never happen, checked the moment it would: on disks, on the wire and in the venue's own books."""

from collections.abc import Iterable
from typing import Any, Final

from components.contracts.commands import Accepted
from components.contracts.decisions import CauseRaised, Decision, Verdict
from components.contracts.orders import ControlReceived, IntentReceived, OrderSending
from components.contracts.topics import COMMANDS, DECISIONS, JUDGE, ORDERS
from components.contracts.trading import Cause
from components.contracts.values import ClientOrderId, IntentId
from components.runtime.codec import decoder_of, reply_decoder_of

RECORDS: Final = {"execution": decoder_of(ORDERS), "risk": decoder_of(DECISIONS)}
ANSWERS: Final = {stream.name.encode(): reply_decoder_of(stream) for stream in (COMMANDS, JUDGE)}
FALSE_ALARMS: Final = frozenset({Cause.DIVERGENCE, Cause.ID_COLLISION})
"""Nobody else trades on this account, and no file is damaged: these can only be mistakes."""


class PromiseBroken(Exception):
    """Something happened that must not; the run ends here."""


class Witness:
    """Remembers what was promised to be kept, and holds every answer and every order against it."""

    def __init__(self) -> None:
        self.kept: dict[str, list[bytes]] = {name: [] for name in RECORDS}
        """The records that each journal has called durable, as they were written."""
        self._names: dict[str, list[str]] = {name: [] for name in RECORDS}
        self._received: set[IntentId] = set()
        self._may_leave: set[ClientOrderId] = set()
        self.approved = 0

    def on_durable(self, journal: str, sequence: int, payload: bytes) -> None:
        """Note a record that is on disk now."""
        kept = self.kept[journal]
        if sequence != len(kept) + 1:
            raise PromiseBroken(f"{journal} wrote record {sequence} after {len(kept)}")
        kept.append(payload)
        self._names[journal].append(self._name(RECORDS[journal](payload)))

    def on_opened(self, journal: str, payloads: Iterable[bytes]) -> None:
        """Compare a journal that was opened with what it had called durable; more may have survived, never less."""
        found, kept = list(payloads), self.kept[journal]
        for sequence, payload in enumerate(kept, 1):
            if sequence > len(found) or found[sequence - 1] != payload:
                raise PromiseBroken(f"{journal} lost record {sequence} of {len(kept)}, which had been durable")
        for sequence in range(len(kept) + 1, len(found) + 1):
            self.on_durable(journal, sequence, found[sequence - 1])

    def on_answer(self, frames: tuple[bytes, bytes, bytes]) -> None:
        """Hold an acknowledgement or a verdict against the disk, before it leaves."""
        decode = ANSWERS.get(frames[0])
        match decode(frames[2]) if decode is not None else None:
            case Accepted(command_id=name, sequence=sequence):
                self._check("execution", name, sequence)
            case Verdict(intent_id=name, sequence=sequence):
                self._check("risk", name, sequence)
            case _:
                return

    def on_leaving(self, name: ClientOrderId) -> None:
        """Hold an order that leaves for the venue against execution's journal."""
        if name not in self._may_leave:
            raise PromiseBroken(f"order {name} leaves for the venue and is in no journal")

    def _check(self, journal: str, name: str, sequence: int) -> None:
        names = self._names[journal]
        if sequence > len(names) or names[sequence - 1] != name:
            raise PromiseBroken(f"{journal} answers {name} by record {sequence}, which is not on its disk")

    def _name(self, record: Any) -> str:  # noqa: ANN401  # any record of either journal
        match record:
            case IntentReceived(intent=intent):
                if intent.intent_id in self._received:
                    raise PromiseBroken(f"execution received intent {intent.intent_id} a second time")
                self._received.add(intent.intent_id)
                return intent.intent_id
            case OrderSending(client_order_id=name):
                self._may_leave.add(name)
                return name
            case ControlReceived(control=control):
                return control.command_id
            case CauseRaised(cause=cause, reason=why) if cause in FALSE_ALARMS:
                raise PromiseBroken(f"risk halts for good with nothing wrong: {cause}: {why}")
            case Decision(intent=intent):
                self.approved += record.allowed
                return intent.intent_id
            case _:
                return ""
