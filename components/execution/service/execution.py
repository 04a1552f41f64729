"""The order service: everything it hears goes to the one part that it concerns, then whatever is due is done."""

from typing import Any, Final

from typing_extensions import override

from components.contracts.approval import SealKey
from components.contracts.errors import InvariantError
from components.contracts.orders import VenueChanged, VenueCondition
from components.contracts.topics import COMMANDS, Stream
from components.contracts.values import AccountId, Venue
from components.execution.config import ExecutionConfig
from components.execution.core.condition import Contact, condition_of
from components.execution.core.state import ExecutionState
from components.execution.core.venue import (
    Answer,
    CancelAllOrders,
    CancelOrder,
    Fence,
    QueryOrder,
    ReadVenue,
    Request,
    SubmitOrder,
    VenueRead,
)
from components.execution.service.answers import Answers
from components.execution.service.book import Book
from components.execution.service.desk import Desk
from components.execution.service.door import Door
from components.execution.service.ear import Ear
from components.execution.service.meters import Meters
from components.execution.service.pace import Pace
from components.execution.service.rounds import Rounds
from components.execution.service.sweep import Sweep
from components.runtime.service import Asked, Called, Effect, Effects, Fed, Inbound, Service

NS_PER_MS: Final = 1_000_000


class ExecutionService(Service):
    """Turns sealed intents into orders, each at most once, and tells the venue's truth about them."""

    def __init__(
        self,
        state: ExecutionState,
        config: ExecutionConfig,
        meters: Meters,
        *,
        venue: Venue,
        seal: tuple[SealKey, AccountId],
    ) -> None:
        """Go on from the journal's state."""
        cancel_check_ns = config.desk.cancel_check_ms * NS_PER_MS
        self._venue, self._limits, self._meters = venue, config.condition, meters
        self._contact = Contact()
        pace = Pace(config.pace)
        self._book = Book(state, meters, cancel_check_ns=cancel_check_ns)
        self._desk = Desk(self._book, pace, config.desk, config.fence, seal)
        self._sweep = Sweep(pace)
        self._door = Door(self._book, self._desk, self._sweep, meters, seal)
        self._rounds = Rounds(self._book, pace, config.reconcile, venue, seal[1])
        self._ear = Ear(self._book, self._rounds, self._contact, events_max=config.desk.buffered_events_max)
        self._answers = Answers(self._book, pace, self._contact, meters, config)

    @override
    def on_start(self, now_ns: int) -> Effects:
        """Put what a crash left in the middle in question; nothing is known of the venue yet."""
        return self._go_on([], now_ns)

    @override
    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Hear one thing, then do whatever is due."""
        if isinstance(message, Asked) and message.stream is COMMANDS:
            # No command says anything of the venue, and the door does itself what is due after one.
            return self._door.asked(message.ticket, message.body, now_ns)
        match message:
            case Called(request, answer):
                return self._go_on(self._answered(request, answer, now_ns), now_ns)
            case Fed(body):
                return self._go_on(self._ear.heard(body, now_ns), now_ns)
            case _:
                raise InvariantError(f"execution does not hear {type(message).__name__}")

    @override
    def on_tick(self, now_ns: int) -> Effects:
        """Do whatever has become due."""
        self._meters.show(self._book.state)
        return self._go_on([*self._rounds.tick(now_ns), *self._sweep.tick(now_ns)], now_ns)

    @override
    def on_stop(self, now_ns: int) -> Effects:
        """Take no new intent; what was not sent never will be."""
        self._desk.is_stopping = True
        return self._go_on([], now_ns)

    @override
    def is_drained(self) -> bool:
        """Say whether every outcome is known and no cancel is being asked for."""
        return self._desk.is_idle() and self._sweep.is_idle()

    @override
    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Give nothing: the orders are an event stream, read from the journal."""
        return ()

    @override
    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Name what is missing before an intent would be accepted and followed."""
        condition, reason = condition_of(self._contact, self._limits)
        missing = [] if condition is VenueCondition.REACHED else [f"venue {condition}: {reason}"]
        if self._rounds.differences is None:
            missing.append("account not reconciled yet")
        elif self._rounds.differences:
            missing.append(f"account differs: {'; '.join(self._rounds.differences)}")
        if not self._desk.is_ready and (doubtful := self._desk.unresolved()):
            missing.append(f"{len(doubtful)} older orders of unknown outcome")
        return tuple(missing)

    def _go_on(self, effects: list[Effect], now_ns: int) -> Effects:
        """Add what follows from what just happened."""
        effects.extend(self._watch_venue(now_ns))
        if not self._desk.is_ready:
            self._desk.is_ready = self._is_everything_known()
        effects.extend(self._desk.press_all(now_ns))
        return effects

    def _is_everything_known(self) -> bool:
        return self._ear.is_live and self._rounds.differences == () and not self._desk.unresolved()

    def _watch_venue(self, now_ns: int) -> list[Effect]:
        condition, reason = condition_of(self._contact, self._limits)
        self._desk.condition = condition
        state = self._book.state
        if state.opening is None or condition is state.condition:
            return []
        return [self._book.write(VenueChanged(self._venue, condition, reason, now_ns))]

    def _answered(self, request: Request, answer: Answer, now_ns: int) -> list[Effect]:
        self._answers.take_note(request, answer, now_ns)
        match request:
            case ReadVenue():
                return self._read(request, answer, now_ns)
            case CancelAllOrders():
                self._rounds.begin_anew(now_ns)
                return self._sweep.answered(answer)
            case SubmitOrder() | Fence() | QueryOrder() | CancelOrder():
                return self._answers.heard(request, answer, now_ns)

    def _read(self, request: ReadVenue, answer: Answer, now_ns: int) -> list[Effect]:
        if not self._rounds.is_current(request):
            return []
        if not isinstance(answer, VenueRead):
            return self._rounds.failed(answer, now_ns)
        effects = self._rounds.take_in(answer, now_ns)
        effects.extend(self._rounds.conclude(answer, now_ns))
        effects.extend(self._ear.go_live(now_ns))
        return effects
