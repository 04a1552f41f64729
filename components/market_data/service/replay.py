"""Runs the service on the time of a recording, so that one recording always produces the same output."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from components.contracts.errors import InvariantError
from components.contracts.values import Symbol, Venue
from components.market_data.core.book.sequencing import SequenceRule
from components.market_data.core.book.synchronizer import SyncLimits
from components.market_data.core.events import DepthSnapshot, FetchSnapshot, Resubscribed
from components.market_data.core.recording import ReplayEvent, SnapshotMatcher
from components.market_data.service.market_data import MarketDataService
from components.market_data.service.order_books import OrderBookService, VenueBookSettings
from components.runtime.clock import NS_PER_S
from components.runtime.metrics import Metrics
from components.runtime.service import (
    CallVenue,
    Effects,
    Inbound,
    LogEvent,
    ObserveLatency,
    Publish,
    Service,
    VenueCallCompleted,
    VenueEvent,
)

TICK_NS: Final = 50_000_000
"""The tick interval of the live process."""
TICKS_MAX: Final = 2_400
"""Two minutes: every timeout of a book has expired by then, so a longer pause in a recording has no further effect."""
# As in config/base.toml; fixed here so that a replay does not depend on the configuration.
LEVELS_PUBLISHED: Final = 20
BOOK_AGE_MS_MAX: Final = 30_000


class ReplayDriver:
    """Runs one service on recorded time. The clock is used for latency statistics only, which are never published."""

    def __init__(self, service: Service, monotonic_ns: Callable[[], int]) -> None:
        self._service, self._monotonic_ns = service, monotonic_ns
        self._matcher = SnapshotMatcher()
        self._replies: deque[VenueCallCompleted] = deque()
        self._ticked_at_ns = self._began_ns = 0

    def run(self, events: Iterable[ReplayEvent]) -> Iterator[Publish | LogEvent]:
        """Yield what would be published and logged, in order."""
        at_ns = 0
        for at_ns, event in events:
            yield from self._run_ticks(at_ns)
            if not isinstance(event, DepthSnapshot):
                yield from self._dispatch(VenueEvent(event), at_ns)
                continue
            request = self._matcher.match_snapshot(event)
            if request is not None:
                yield from self._dispatch(VenueCallCompleted(request, event), at_ns)
        yield from self._execute(self._service.on_stop(at_ns))

    def _run_ticks(self, at_ns: int) -> Iterator[Publish | LogEvent]:
        if not self._ticked_at_ns:
            self._ticked_at_ns = at_ns
            yield from self._execute(self._service.on_start(at_ns))
        for _ in range(TICKS_MAX):
            if at_ns - self._ticked_at_ns < TICK_NS:
                return
            self._ticked_at_ns += TICK_NS
            yield from self._execute(self._service.on_tick(self._ticked_at_ns))
            yield from self._dispatch_replies(self._ticked_at_ns)
        self._ticked_at_ns = at_ns

    def _dispatch(self, message: Inbound, now_ns: int) -> Iterator[Publish | LogEvent]:
        self._began_ns = self._monotonic_ns()
        yield from self._execute(self._service.on_message(message, now_ns))
        yield from self._dispatch_replies(now_ns)

    def _dispatch_replies(self, now_ns: int) -> Iterator[Publish | LogEvent]:
        while self._replies:
            yield from self._execute(self._service.on_message(self._replies.popleft(), now_ns))

    def _execute(self, effects: Effects) -> Iterator[Publish | LogEvent]:
        for effect in effects:
            match effect:
                case Publish() | LogEvent():
                    yield effect
                case ObserveLatency(measure):
                    measure((self._monotonic_ns() - self._began_ns) / NS_PER_S)
                case CallVenue(request):
                    self._call(request)
                case _:
                    raise InvariantError(f"market_data does not emit {type(effect).__name__}")

    def _call(self, request: object) -> None:
        if not isinstance(request, FetchSnapshot):
            # A recording cannot be resubscribed: its next snapshot arrives at its recorded time.
            self._replies.append(VenueCallCompleted(request, Resubscribed()))
        elif snapshot := self._matcher.match_request(request):
            self._replies.append(VenueCallCompleted(request, snapshot))


def replay_service(
    venue: Venue, symbols: Sequence[Symbol], sequence_rule: SequenceRule, *, pushes_snapshot: bool
) -> MarketDataService:
    """Return a service for one recording that depends neither on the machine nor on the time of day."""
    settings = VenueBookSettings(
        venue=venue,
        symbols=tuple(symbols),
        sequence_rule=sequence_rule,
        pushes_snapshot=pushes_snapshot,
        levels_published=LEVELS_PUBLISHED,
        book_age_ms_max=BOOK_AGE_MS_MAX,
        first_book_timeout_ms=0,
        audit_every_s=0,
        sync_limits=SyncLimits(),
    )
    return MarketDataService(None, OrderBookService((settings,), Metrics("replay", ""), _no_jitter))


def _no_jitter() -> float:
    return 0.0
