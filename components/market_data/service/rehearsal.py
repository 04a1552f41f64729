"""Runs the service on a recording's own time, so that the same recording always says the same."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from components.contracts.errors import InvariantError
from components.contracts.values import Symbol, Venue
from components.market_data.core.answers import Answers, Played
from components.market_data.core.changes import DepthImage
from components.market_data.core.feed import FetchImage, Resubscribed
from components.market_data.core.rules import Rule
from components.market_data.core.synchroniser import SyncPatience
from components.market_data.service.books import NS_PER_S, BookDesk, VenueTerms
from components.market_data.service.market import MarketDataService
from components.runtime.metrics import Metrics
from components.runtime.service import Call, Called, Effects, Fed, Inbound, Note, Observe, Publish, Service

TICK_NS: Final = 50_000_000
"""As often as a process lets time pass."""
TICKS_MAX: Final = 2_400
"""Two minutes: a longer pause in a recording tells a book nothing that it does not know by then."""
LEVELS_PUBLISHED: Final = 20
BOOK_AGE_MS_MAX: Final = 30_000
"""Both as config/base.toml has them for live books; a recording plays the same whatever the configuration is."""


class Rehearsal:
    """One run of a service; only the time that the work itself took is read from a clock, and never published."""

    def __init__(self, service: Service, monotonic_ns: Callable[[], int]) -> None:
        self._service, self._monotonic_ns = service, monotonic_ns
        self._answers = Answers()
        self._answered: deque[Called] = deque()
        self._ticked_at_ns = self._began_ns = 0

    def run(self, played: Iterable[Played]) -> Iterator[Publish | Note]:
        """Give what would be published and noted, in order."""
        at_ns = 0
        for at_ns, said in played:
            yield from self._pass_time(at_ns)
            if not isinstance(said, DepthImage):
                yield from self._hear(Fed(said), at_ns)
                continue
            request = self._answers.came(said)
            if request is not None:
                yield from self._hear(Called(request, said), at_ns)
        yield from self._carry_out(self._service.on_stop(at_ns))

    def _pass_time(self, at_ns: int) -> Iterator[Publish | Note]:
        if not self._ticked_at_ns:
            self._ticked_at_ns = at_ns
            yield from self._carry_out(self._service.on_start(at_ns))
        for _ in range(TICKS_MAX):
            if at_ns - self._ticked_at_ns < TICK_NS:
                return
            self._ticked_at_ns += TICK_NS
            yield from self._carry_out(self._service.on_tick(self._ticked_at_ns))
            yield from self._hear_answers(self._ticked_at_ns)
        self._ticked_at_ns = at_ns

    def _hear(self, message: Inbound, now_ns: int) -> Iterator[Publish | Note]:
        self._began_ns = self._monotonic_ns()
        yield from self._carry_out(self._service.on_message(message, now_ns))
        yield from self._hear_answers(now_ns)

    def _hear_answers(self, now_ns: int) -> Iterator[Publish | Note]:
        while self._answered:
            yield from self._carry_out(self._service.on_message(self._answered.popleft(), now_ns))

    def _carry_out(self, effects: Effects) -> Iterator[Publish | Note]:
        for effect in effects:
            match effect:
                case Publish() | Note():
                    yield effect
                case Observe(measure):
                    measure((self._monotonic_ns() - self._began_ns) / NS_PER_S)
                case Call(request):
                    self._call(request)
                case _:
                    raise InvariantError(f"market_data wants no {type(effect).__name__}")

    def _call(self, request: object) -> None:
        if not isinstance(request, FetchImage):
            # A recording cannot be asked to begin anew: its next image comes when it came.
            self._answered.append(Called(request, Resubscribed()))
        elif image := self._answers.ask(request):
            self._answered.append(Called(request, image))


def rehearsed(venue: Venue, symbols: Sequence[Symbol], rule: Rule, *, pushes_image: bool) -> MarketDataService:
    """Make the service that hears one recording; nothing in it depends on where or when it runs."""
    terms = VenueTerms(
        venue=venue,
        symbols=tuple(symbols),
        rule=rule,
        pushes_image=pushes_image,
        levels_published=LEVELS_PUBLISHED,
        book_age_ms_max=BOOK_AGE_MS_MAX,
        first_book_ms_max=0,
        audit_every_s=0,
        patience=SyncPatience(),
    )
    return MarketDataService(None, BookDesk((terms,), Metrics("rehearsal", ""), _no_chance))


def _no_chance() -> float:
    return 0.0
