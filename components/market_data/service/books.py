"""Keeps every listed book in step with its venue; one that fails leaves the others alone."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.errors import InvariantError
from components.contracts.market import BookState, FeedHealth, FeedState, Gap, Quote, SymbolHealth, Trade
from components.contracts.topics import BOOKS, MARKET
from components.contracts.values import Symbol, Venue
from components.market_data.core.audit import Audit, Verdict
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import (
    BookClosed,
    BookOpened,
    Data,
    FeedAnswer,
    FeedRequest,
    FetchImage,
    Framed,
    LineClosed,
    LineOpened,
    Listed,
    NoImage,
    Odd,
    Oddity,
    Resubscribe,
    Resubscribed,
)
from components.market_data.core.instruments import Instrument
from components.market_data.core.rules import Remedy, Rule
from components.market_data.core.synchroniser import Synchroniser, SyncPatience
from components.market_data.service.meters import StreamMeter
from components.market_data.service.prints import quote_flaw, trade_flaw
from components.market_data.service.published import PublishedBook
from components.runtime.metrics import Metrics
from components.runtime.service import Call, Effect, Effects, Note, Observe, Publish

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
GAPS_KEPT_MAX: Final = 200
"""So many gaps are told to whoever joins late."""
AUDIT_EPOCH: Final = -1

BookFeedMessage: TypeAlias = Listed | BookOpened | BookClosed | LineOpened | LineClosed | Framed


class VenueTerms(Struct, frozen=True, gc=False, kw_only=True):
    """How the books of one venue are kept and shown."""

    venue: Venue
    symbols: tuple[Symbol, ...]
    rule: Rule
    pushes_image: bool
    levels_published: int
    book_age_ms_max: int
    first_book_ms_max: int
    audit_every_s: int
    patience: SyncPatience


class BookDesk:
    """Every book of every venue that is listened to."""

    def __init__(self, venues: Sequence[VenueTerms], metrics: Metrics, chance: Callable[[], float]) -> None:
        """Take the venues; `chance` gives numbers in [0, 1) for the jitter of what is asked again."""
        self._terms = {one.venue: one for one in venues}
        self._chance = chance
        self._books: dict[Symbol, PublishedBook] = {}
        self._refused: set[Symbol] = set()
        self._unlisted: dict[Symbol, SymbolHealth] = {}
        """Symbols that are configured and that their venue does not know."""
        self._quotes: dict[Symbol, Quote] = {}
        self._gaps: deque[Gap] = deque(maxlen=GAPS_KEPT_MAX)
        self._feeds = {venue: FeedHealth(venue, FeedState.CONNECTING, "starting", 0) for venue in self._terms}
        self._meters = {venue: StreamMeter(venue, metrics) for venue in self._terms}
        self._odd = metrics.counter("market_odd_total", "Parts of a venue's frames without effect", ("venue", "kind"))
        self._audits = metrics.counter(
            "market_book_audits_total", "Books held against a fetched image", ("venue", "verdict")
        )
        self._synced = metrics.gauge("market_books_synced", "Books that are in sync", ("venue",))
        self._live = metrics.gauge("market_venue_live", "1 while every connection to a venue is open", ("venue",))
        wanted = metrics.gauge("market_books_wanted", "Books that are configured to be listened to", ("venue",))
        for venue, terms in self._terms.items():
            wanted.labels(venue).set(len(terms.symbols))
            for verdict in Verdict:
                self._audits.labels(venue, verdict)
        self._slow_at_ns = self._started_at_ns = 0

    def on_start(self, now_ns: int) -> Effects:
        """Say that no venue is heard yet."""
        self._started_at_ns = now_ns
        self._feeds = {venue: FeedHealth(venue, FeedState.CONNECTING, "starting", now_ns) for venue in self._feeds}
        return [Publish(MARKET, feed) for feed in self._feeds.values()]

    def hear(self, said: BookFeedMessage, now_ns: int) -> Effects:
        """Hear an adapter."""
        match said:
            case Framed():
                return self.take(said, now_ns)
            case Listed():
                return self._list(said, now_ns)
            case BookOpened():
                return self._open(said, now_ns)
            case BookClosed():
                return self._close(said, now_ns)
            case LineOpened():
                return self._feed_is(said.venue, FeedState.LIVE, "subscribed", now_ns)
            case LineClosed():
                level = "error" if said.final else "warning"
                return self._feed_is(said.venue, FeedState.DOWN, said.reason, now_ns, level)
        assert_never(said)

    def called(self, request: FeedRequest, answer: FeedAnswer, now_ns: int) -> Effects:
        """Hear what became of a request of ours."""
        book = self._books.get(request.symbol)
        if book is None:
            return ()
        match answer:
            case DepthImage():
                if isinstance(request, FetchImage) and request.epoch == AUDIT_EPOCH:
                    return self._judge(
                        book, book.audit.answered(answer, book.sync.current) if book.audit else None, now_ns
                    )
                return [*book.load(answer, request.epoch), *self._ask(book, now_ns)]
            case NoImage(reason, wait_ms):
                if request.epoch == AUDIT_EPOCH:
                    book.audit = None
                    return ()
                return book.failed(reason, request.epoch, now_ns, wait_ms)
            case Resubscribed():
                return ()
        assert_never(answer)

    def on_tick(self, now_ns: int) -> Effects:
        """Let time pass for each book."""
        effects: list[Effect] = []
        for book in self._books.values():
            sync = book.sync
            if not sync.is_live:
                effects += self._ask(book, now_ns)
            elif not sync.check(now_ns):
                effects += book.tell()
            elif sync.state is BookState.SYNCED:
                effects += self._age(book, now_ns)
        if now_ns - self._slow_at_ns >= NS_PER_S:
            self._slow_at_ns = now_ns
            effects += self._look_slowly(now_ns)
        return effects

    def on_stop(self, now_ns: int) -> Effects:
        """Say that these books go on no longer, and sum each stream up."""
        effects: list[Effect] = []
        for venue in self._feeds:
            effects += self._feed_is(venue, FeedState.DOWN, "market_data stops", now_ns)
        for book in self._books.values():
            effects += book.lost("market_data stops", now_ns)
        self._count()
        return [*effects, *(Note("stream_summary", meter.summary()) for meter in self._meters.values())]

    def market_snapshot(self) -> tuple[Any, ...]:
        """Give the last quotes, the trust in their books, and the feeds."""
        return (*self._quotes.values(), *self._healths(), *self._feeds.values())

    def books_snapshot(self) -> tuple[Any, ...]:
        """Give every book as it was shown last, the trust in it, and the latest gaps."""
        shown = (book.snapshot() for book in self._books.values())
        return (*filter(None, shown), *self._healths(), *self._gaps)

    def _healths(self) -> Iterator[SymbolHealth]:
        yield from (book.health for book in self._books.values())
        yield from self._unlisted.values()

    def unmet(self, now_ns: int, *, is_alone: bool) -> tuple[str, ...]:
        """Wait for each venue and its books, but not for ever: beside other feeds a venue that is away is only told of.

        Where nothing else is heard at all (`is_alone`), one venue must be.
        """
        begins = {venue: now_ns - self._started_at_ns <= self._patience_ns(venue) for venue in self._feeds}
        away = [feed for feed in self._feeds.values() if feed.state is not FeedState.LIVE]
        nobody = is_alone and len(away) == len(self._feeds)
        unmet = [f"feed {one.venue} is {one.state}: {one.reason}" for one in away if nobody or begins[one.venue]]
        for venue, feed in self._feeds.items():
            if feed.state is FeedState.LIVE and now_ns - feed.at_ns <= self._patience_ns(venue) and begins[venue]:
                unmet += [f"book of {symbol}" for symbol in self._terms[venue].symbols if not self._is_settled(symbol)]
        return tuple(unmet)

    def _patience_ns(self, venue: Venue) -> int:
        return self._terms[venue].first_book_ms_max * NS_PER_MS

    def _is_settled(self, symbol: Symbol) -> bool:
        book = self._books.get(symbol)
        return symbol in self._refused or (book is not None and book.sync.is_live)

    def take(self, framed: Framed, now_ns: int) -> Effects:
        """Hear what a frame of a venue held."""
        timed = self._meters[framed.venue].frame(framed.received_at_ns, framed.parse_ns, framed.bytes_count)
        data = framed.data
        effects = self._one(framed.venue, data[0], now_ns) if len(data) == 1 else self._many(framed, now_ns)
        if timed and effects:
            meter = self._meters[framed.venue]
            return [Observe(meter.transformed, now_ns), *effects, Observe(meter.published, now_ns)]
        return effects

    def _many(self, framed: Framed, now_ns: int) -> Effects:
        return [effect for one in framed.data for effect in self._one(framed.venue, one, now_ns)]

    def _one(self, venue: Venue, one: Data, now_ns: int) -> Effects:
        kind = type(one)
        if kind is Quote:
            return self._take_quote(venue, one)  # type: ignore[arg-type]
        if kind is Trade:
            return self._take_trade(venue, one)  # type: ignore[arg-type]
        if kind is Odd:
            return self._take_odd(venue, one, now_ns)  # type: ignore[arg-type]
        book = self._books.get(one.symbol)  # type: ignore[arg-type]
        if book is None:
            self._odd.labels(venue, Oddity.UNLISTED).inc()
            return ()
        return self._take_depth(book, one, now_ns)  # type: ignore[arg-type]

    def _take_depth(self, book: PublishedBook, one: DepthChange | DepthImage, now_ns: int) -> Effects:
        effects = book.take(one) if type(one) is DepthChange else book.load(one)  # type: ignore[arg-type]
        if book.audit is not None and book.sync.is_live:
            return [*effects, *self._judge(book, book.audited(), now_ns)]
        return effects if book.sync.is_live else [*effects, *self._ask(book, now_ns)]

    def _take_quote(self, venue: Venue, quote: Quote) -> Effects:
        flaw = quote_flaw(quote) if quote.symbol in self._books else Oddity.UNLISTED
        if flaw is not None:
            self._odd.labels(venue, flaw).inc()
            return ()
        self._quotes[quote.symbol] = quote
        return (Publish(MARKET, quote, quote.venue_at_ns, quote.received_at_ns),)

    def _take_trade(self, venue: Venue, trade: Trade) -> Effects:
        flaw = trade_flaw(trade) if trade.symbol in self._books else Oddity.UNLISTED
        if flaw is not None:
            self._odd.labels(venue, flaw).inc()
            return ()
        return (Publish(MARKET, trade, trade.venue_at_ns, trade.received_at_ns),)

    def _take_odd(self, venue: Venue, odd: Odd, now_ns: int) -> Effects:
        self._odd.labels(venue, odd.kind).inc()
        book = self._books.get(odd.symbol) if odd.symbol is not None else None
        if book is None:
            return ()
        return book.missed(f"a frame was {odd.kind}: {odd.detail}", now_ns)

    def _list(self, listed: Listed, now_ns: int) -> Effects:
        for instrument in listed.instruments:
            self._unlisted.pop(instrument.symbol, None)
            book = self._books.get(instrument.symbol)
            if book is None:
                self._books[instrument.symbol] = self._new_book(self._terms[listed.venue], instrument, now_ns)
            elif book.instrument != instrument:
                book.relisted(instrument)
        return ()

    def _new_book(self, terms: VenueTerms, instrument: Instrument, now_ns: int) -> PublishedBook:
        patience = replace(terms.patience, may_cross=instrument.may_cross)
        sync = Synchroniser(instrument.symbol, terms.rule, patience, now_ns, self._chance)
        book = PublishedBook(terms.venue, instrument, sync, terms.levels_published, self._gaps)
        book.spread_audits(int(self._chance() * terms.audit_every_s * NS_PER_S))
        return book

    def _open(self, opened: BookOpened, now_ns: int) -> Effects:
        book = self._require(opened.symbol)
        self._refused.discard(opened.symbol)
        pushes = self._terms[opened.venue].pushes_image
        return [*book.opened(now_ns, pushes_image=pushes), *self._ask(book, now_ns)]

    def _close(self, closed: BookClosed, now_ns: int) -> Effects:
        book = self._books.get(closed.symbol)
        facts = {"symbol": closed.symbol, "reason": closed.reason}
        note = (Note("subscription_refused", facts, "error"),) if closed.final else ()
        if closed.final:
            self._refused.add(closed.symbol)
        lost = self._miss(closed, now_ns) if book is None else book.lost(closed.reason, now_ns)
        return [*lost, *note]

    def _miss(self, closed: BookClosed, now_ns: int) -> Effects:
        """Tell of a symbol that its venue does not list: whoever waits for it should know why."""
        if not closed.final:
            return ()
        health = SymbolHealth(closed.venue, closed.symbol, BookState.GAP, closed.reason, now_ns)
        self._unlisted[closed.symbol] = health
        return [Publish(BOOKS, health), Publish(MARKET, health)]

    def _require(self, symbol: Symbol) -> PublishedBook:
        book = self._books.get(symbol)
        if book is None:
            raise InvariantError(f"{symbol} was opened before it was listed")
        return book

    def _ask(self, book: PublishedBook, now_ns: int) -> Effects:
        sync = book.sync
        remedy = sync.due(now_ns)
        if remedy is None:
            return ()
        venue = book.instrument.venue
        if remedy is Remedy.FETCH:
            return (Call(FetchImage(venue, sync.symbol, sync.epoch)),)
        return (Call(Resubscribe(venue, sync.symbol, sync.epoch)),)

    def _age(self, book: PublishedBook, now_ns: int) -> Effects:
        age_ns = now_ns - book.sync.received_at_ns
        if age_ns <= self._terms[book.instrument.venue].book_age_ms_max * NS_PER_MS:
            return ()
        return book.grew_old(f"no change for {age_ns // NS_PER_MS} ms", now_ns)

    def _look_slowly(self, now_ns: int) -> Effects:
        self._count()
        effects: list[Effect] = []
        for book in self._books.values():
            terms = self._terms[book.instrument.venue]
            if not book.sync.is_live:
                continue
            if book.is_shallow:
                effects += book.resync(BookState.SYNCING, "little is left of what the image showed", now_ns)
            elif terms.audit_every_s and book.is_audit_due(now_ns, terms.audit_every_s * NS_PER_S):
                book.audit = Audit(book.sync.current, book.sync.depth)
                effects.append(Call(FetchImage(terms.venue, book.sync.symbol, AUDIT_EPOCH)))
        return effects

    def _judge(self, book: PublishedBook, verdict: Verdict | None, now_ns: int) -> Effects:
        if verdict is None:
            return ()
        book.audit = None
        self._audits.labels(book.instrument.venue, verdict).inc()
        if verdict is not Verdict.DIFFERS:
            return ()
        reason = "a fetched image differs at the same id"
        return [
            *book.resync(BookState.GAP, reason, now_ns),
            Note("book_differs", {"symbol": book.sync.symbol, "book_id": book.sync.current}, "error"),
        ]

    def _feed_is(self, venue: Venue, state: FeedState, reason: str, now_ns: int, level: str = "info") -> Effects:
        before = self._feeds[venue]
        if (before.state, before.reason) == (state, reason):
            return ()
        self._feeds[venue] = FeedHealth(venue, state, reason, now_ns)
        self._live.labels(venue).set(state is FeedState.LIVE)
        facts = {"venue": venue, "state": state, "reason": reason}
        return [Publish(MARKET, self._feeds[venue]), Note("feed_changed", facts, level)]

    def _count(self) -> None:
        for venue, meter in self._meters.items():
            books = [book for book in self._books.values() if book.instrument.venue == venue]
            meter.count([book.sync.tally for book in books])
            self._synced.labels(venue).set(sum(book.sync.state is BookState.SYNCED for book in books))
