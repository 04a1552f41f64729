"""All order books: lifecycle, snapshot requests, audits, readiness and metrics.

A book that fails does not affect the others.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias, assert_never

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.errors import InvariantError
from components.contracts.market import BookGap, BookState, FeedHealth, FeedState, Quote, SymbolHealth, Trade
from components.contracts.streams import BOOKS, MARKET
from components.contracts.values import Symbol, Venue
from components.market_data.core.book.audit import Audit, Verdict
from components.market_data.core.book.sequencing import ResyncMethod, SequenceRule
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncLimits
from components.market_data.core.events import (
    BookStreamDown,
    BookStreamUp,
    DecodedFrame,
    DecodeIssue,
    DepthSnapshot,
    DepthUpdate,
    FeedDown,
    FeedReply,
    FeedRequest,
    FeedUp,
    FetchSnapshot,
    InstrumentsLoaded,
    IssueKind,
    MarketEvent,
    Resubscribe,
    Resubscribed,
    SnapshotUnavailable,
)
from components.market_data.core.instruments import Instrument
from components.market_data.core.quotes import is_valid_quote, is_valid_trade
from components.market_data.service.published_book import PublishedBook
from components.market_data.service.stream_stats import StreamStats
from components.runtime.clock import NS_PER_MS, NS_PER_S
from components.runtime.metrics import Metrics
from components.runtime.service import CallVenue, Effect, Effects, EventLevel, LogEvent, ObserveLatency, Publish

GAPS_KEPT_MAX: Final = 200
"""Recent gaps included in the snapshot for late subscribers."""
AUDIT_EPOCH: Final = -1
"""Epoch of a snapshot request whose reply is compared with the book; a synchronizer's own epochs are above 0."""
BookFeedMessage: TypeAlias = InstrumentsLoaded | BookStreamUp | BookStreamDown | FeedUp | FeedDown | DecodedFrame


class VenueBookSettings(Struct, frozen=True, gc=False, kw_only=True):
    """How the books of one venue are synchronized and published."""

    venue: Venue
    symbols: tuple[Symbol, ...]
    sequence_rule: SequenceRule
    pushes_snapshot: bool
    levels_published: int
    book_age_ms_max: int
    first_book_timeout_ms: int
    audit_every_s: int
    sync_limits: SyncLimits


class OrderBookService:
    """The books of all configured crypto venues."""

    def __init__(self, venues: Sequence[VenueBookSettings], metrics: Metrics, jitter: Callable[[], float]) -> None:
        """Start without any book; `jitter` returns numbers in [0, 1) for retry delays."""
        self._settings = {one.venue: one for one in venues}
        self._jitter = jitter
        self._books: dict[Symbol, PublishedBook] = {}
        self._rejected: set[Symbol] = set()
        self._unlisted: dict[Symbol, SymbolHealth] = {}
        """Configured symbols that their venue does not list."""
        self._quotes: dict[Symbol, Quote] = {}
        self._gaps: deque[BookGap] = deque(maxlen=GAPS_KEPT_MAX)
        self._feeds = {venue: FeedHealth(venue, FeedState.CONNECTING, "starting", 0) for venue in self._settings}
        self._stats = {venue: StreamStats(venue, metrics) for venue in self._settings}
        self._decode_issues = metrics.counter(
            "market_decode_issues_total", "Parts of a venue's frames that were rejected", ("venue", "kind")
        )
        self._audits = metrics.counter(
            "market_book_audits_total", "Books compared with a fetched snapshot", ("venue", "verdict")
        )
        self._synced = metrics.gauge("market_books_synced", "Books that are in sync", ("venue",))
        self._live = metrics.gauge("market_venue_live", "1 while every connection to a venue is open", ("venue",))
        configured = metrics.gauge("market_books_configured", "Books that are configured", ("venue",))
        for venue, settings in self._settings.items():
            configured.labels(venue).set(len(settings.symbols))
            for verdict in Verdict:
                self._audits.labels(venue, verdict)
        self._slow_checks_at_ns = self._started_at_ns = 0

    def on_start(self, now_ns: int) -> Effects:
        """Publish that no venue is connected yet."""
        self._started_at_ns = now_ns
        self._feeds = {venue: FeedHealth(venue, FeedState.CONNECTING, "starting", now_ns) for venue in self._feeds}
        return [Publish(MARKET, feed) for feed in self._feeds.values()]

    def on_feed_message(self, message: BookFeedMessage, now_ns: int) -> Effects:
        """Handle a message of a feed."""
        match message:
            case DecodedFrame():
                return self.on_frame(message, now_ns)
            case InstrumentsLoaded():
                return self._on_instruments(message, now_ns)
            case BookStreamUp():
                return self._on_stream_up(message, now_ns)
            case BookStreamDown():
                return self._on_stream_down(message, now_ns)
            case FeedUp():
                return self._set_feed_state(message.venue, FeedState.LIVE, "subscribed", now_ns)
            case FeedDown():
                level: EventLevel = "error" if message.is_permanent else "warning"
                return self._set_feed_state(message.venue, FeedState.DOWN, message.reason, now_ns, level)
        assert_never(message)

    def on_frame(self, frame: DecodedFrame, now_ns: int) -> Effects:
        """Handle the content of one frame."""
        timed = self._stats[frame.venue].on_frame(frame.received_at_ns, frame.parse_ns, frame.bytes_count)
        data = frame.data
        effects = self._on_event(frame.venue, data[0], now_ns) if len(data) == 1 else self._on_events(frame, now_ns)
        if timed and effects:
            stats = self._stats[frame.venue]
            return [
                ObserveLatency(stats.observe_transform, now_ns),
                *effects,
                ObserveLatency(stats.observe_publish, now_ns),
            ]
        return effects

    def on_venue_reply(self, request: FeedRequest, reply: FeedReply, now_ns: int) -> Effects:
        """Handle the reply to a request of this service."""
        book = self._books.get(request.symbol)
        if book is None:
            return ()
        match reply:
            case DepthSnapshot():
                if isinstance(request, FetchSnapshot) and request.epoch == AUDIT_EPOCH:
                    return self._finish_audit(
                        book, book.audit.apply_snapshot(reply, book.sync.last_id) if book.audit else None, now_ns
                    )
                return [*book.apply_snapshot(reply, request.epoch), *self._request_resync(book, now_ns)]
            case SnapshotUnavailable(reason, retry_after_ms):
                if request.epoch == AUDIT_EPOCH:
                    book.audit = None
                    return ()
                return book.on_snapshot_failed(reason, request.epoch, now_ns, retry_after_ms)
            case Resubscribed():
                return ()
        assert_never(reply)

    def on_tick(self, now_ns: int) -> Effects:
        """Check each book: timeouts, staleness, and whether a snapshot request is due."""
        effects: list[Effect] = []
        for book in self._books.values():
            sync = book.sync
            if not sync.is_live:
                effects += self._request_resync(book, now_ns)
            elif not sync.check_timeouts(now_ns):
                effects += book.health_changes()
            elif sync.state is BookState.SYNCED:
                effects += self._check_staleness(book, now_ns)
        if now_ns - self._slow_checks_at_ns >= NS_PER_S:
            self._slow_checks_at_ns = now_ns
            effects += self._run_slow_checks(now_ns)
        return effects

    def on_stop(self, now_ns: int) -> Effects:
        """Publish that these books are no longer updated, and log a summary of each stream."""
        effects: list[Effect] = []
        for venue in self._feeds:
            effects += self._set_feed_state(venue, FeedState.DOWN, "market_data stops", now_ns)
        for book in self._books.values():
            effects += book.on_disconnect("market_data stops", now_ns)
        self._update_metrics()
        return [*effects, *(LogEvent("stream_summary", stats.summary()) for stats in self._stats.values())]

    def market_snapshot(self) -> tuple[Any, ...]:
        """Return the last quotes, the health of their books, and the feeds."""
        return (*self._quotes.values(), *self._healths(), *self._feeds.values())

    def books_snapshot(self) -> tuple[Any, ...]:
        """Return every book as published last, its health, and the latest gaps."""
        snapshots = (book.snapshot() for book in self._books.values())
        return (*filter(None, snapshots), *self._healths(), *self._gaps)

    def unmet(self, now_ns: int, *, is_only_source: bool) -> tuple[str, ...]:
        """Return the venues and books that readiness still waits for.

        After `first_book_timeout_ms` a venue without connection no longer delays readiness; its health reports it. If
        there is no other source of prices (`is_only_source`), at least one venue must be connected, without a limit.
        """
        starting = {venue: now_ns - self._started_at_ns <= self._first_book_timeout_ns(venue) for venue in self._feeds}
        down = [feed for feed in self._feeds.values() if feed.state is not FeedState.LIVE]
        none_connected = is_only_source and len(down) == len(self._feeds)
        unmet = [
            f"feed {one.venue} is {one.state}: {one.reason}" for one in down if none_connected or starting[one.venue]
        ]
        for venue, feed in self._feeds.items():
            if (
                feed.state is FeedState.LIVE
                and now_ns - feed.at_ns <= self._first_book_timeout_ns(venue)
                and starting[venue]
            ):
                unmet += [
                    f"book of {symbol}" for symbol in self._settings[venue].symbols if not self._is_resolved(symbol)
                ]
        return tuple(unmet)

    def _healths(self) -> Iterator[SymbolHealth]:
        yield from (book.health for book in self._books.values())
        yield from self._unlisted.values()

    def _first_book_timeout_ns(self, venue: Venue) -> int:
        return self._settings[venue].first_book_timeout_ms * NS_PER_MS

    def _is_resolved(self, symbol: Symbol) -> bool:
        book = self._books.get(symbol)
        return symbol in self._rejected or (book is not None and book.sync.is_live)

    def _on_events(self, frame: DecodedFrame, now_ns: int) -> Effects:
        return [effect for one in frame.data for effect in self._on_event(frame.venue, one, now_ns)]

    def _on_event(self, venue: Venue, event: MarketEvent, now_ns: int) -> Effects:
        kind = type(event)
        if kind is Quote:
            return self._on_quote(venue, event)  # type: ignore[arg-type]
        if kind is Trade:
            return self._on_trade(venue, event)  # type: ignore[arg-type]
        if kind is DecodeIssue:
            return self._on_decode_issue(venue, event, now_ns)  # type: ignore[arg-type]
        book = self._books.get(event.symbol)  # type: ignore[arg-type]
        if book is None:
            return self._count_rejected(venue, IssueKind.UNLISTED)
        return self._on_depth(book, event, now_ns)  # type: ignore[arg-type]

    def _on_depth(self, book: PublishedBook, event: DepthUpdate | DepthSnapshot, now_ns: int) -> Effects:
        effects = book.apply_update(event) if type(event) is DepthUpdate else book.apply_snapshot(event)  # type: ignore[arg-type]
        if book.audit is not None and book.sync.is_live:
            return [*effects, *self._finish_audit(book, book.advance_audit(), now_ns)]
        return effects if book.sync.is_live else [*effects, *self._request_resync(book, now_ns)]

    def _on_quote(self, venue: Venue, quote: Quote) -> Effects:
        if quote.symbol not in self._books:
            return self._count_rejected(venue, IssueKind.UNLISTED)
        if not is_valid_quote(quote):
            return self._count_rejected(venue, IssueKind.OUT_OF_RANGE)
        self._quotes[quote.symbol] = quote
        return (Publish(MARKET, quote, quote.venue_at_ns, quote.received_at_ns),)

    def _on_trade(self, venue: Venue, trade: Trade) -> Effects:
        if trade.symbol not in self._books:
            return self._count_rejected(venue, IssueKind.UNLISTED)
        if not is_valid_trade(trade):
            return self._count_rejected(venue, IssueKind.OUT_OF_RANGE)
        return (Publish(MARKET, trade, trade.venue_at_ns, trade.received_at_ns),)

    def _on_decode_issue(self, venue: Venue, issue: DecodeIssue, now_ns: int) -> Effects:
        self._decode_issues.labels(venue, issue.kind).inc()
        book = self._books.get(issue.symbol) if issue.symbol is not None else None
        if book is None:
            return ()
        return book.on_decode_failure(f"a frame was {issue.kind}: {issue.detail}", now_ns)

    def _count_rejected(self, venue: Venue, kind: IssueKind) -> Effects:
        self._decode_issues.labels(venue, kind).inc()
        return ()

    def _on_instruments(self, loaded: InstrumentsLoaded, now_ns: int) -> Effects:
        for instrument in loaded.instruments:
            self._unlisted.pop(instrument.symbol, None)
            book = self._books.get(instrument.symbol)
            if book is None:
                self._books[instrument.symbol] = self._new_book(self._settings[loaded.venue], instrument, now_ns)
            elif book.instrument != instrument:
                book.on_instrument_update(instrument)
        return ()

    def _new_book(self, settings: VenueBookSettings, instrument: Instrument, now_ns: int) -> PublishedBook:
        limits = replace(settings.sync_limits, may_cross=instrument.may_cross)
        sync = BookSynchronizer(instrument.symbol, settings.sequence_rule, limits, now_ns, self._jitter)
        book = PublishedBook(settings.venue, instrument, sync, settings.levels_published, self._gaps)
        book.spread_audits(int(self._jitter() * settings.audit_every_s * NS_PER_S))
        return book

    def _on_stream_up(self, message: BookStreamUp, now_ns: int) -> Effects:
        book = self._require(message.symbol)
        self._rejected.discard(message.symbol)
        pushes = self._settings[message.venue].pushes_snapshot
        return [*book.on_subscribed(now_ns, pushes_snapshot=pushes), *self._request_resync(book, now_ns)]

    def _on_stream_down(self, message: BookStreamDown, now_ns: int) -> Effects:
        book = self._books.get(message.symbol)
        facts = {"symbol": message.symbol, "reason": message.reason}
        log_events = (LogEvent("subscription_rejected", facts, "error"),) if message.is_permanent else ()
        if message.is_permanent:
            self._rejected.add(message.symbol)
        lost = self._report_unlisted(message, now_ns) if book is None else book.on_disconnect(message.reason, now_ns)
        return [*lost, *log_events]

    def _report_unlisted(self, message: BookStreamDown, now_ns: int) -> Effects:
        """Publish that a venue does not list a symbol, so that subscribers know the reason."""
        if not message.is_permanent:
            return ()
        health = SymbolHealth(message.venue, message.symbol, BookState.GAP, message.reason, now_ns)
        self._unlisted[message.symbol] = health
        return [Publish(BOOKS, health), Publish(MARKET, health)]

    def _require(self, symbol: Symbol) -> PublishedBook:
        book = self._books.get(symbol)
        if book is None:
            raise InvariantError(f"{symbol} was subscribed before its instrument was loaded")
        return book

    def _request_resync(self, book: PublishedBook, now_ns: int) -> Effects:
        sync = book.sync
        method = sync.next_resync(now_ns)
        if method is None:
            return ()
        venue = book.instrument.venue
        if method is ResyncMethod.FETCH:
            return (CallVenue(FetchSnapshot(venue, sync.symbol, sync.epoch)),)
        return (CallVenue(Resubscribe(venue, sync.symbol, sync.epoch)),)

    def _check_staleness(self, book: PublishedBook, now_ns: int) -> Effects:
        age_ns = now_ns - book.sync.received_at_ns
        if age_ns <= self._settings[book.instrument.venue].book_age_ms_max * NS_PER_MS:
            return ()
        return book.mark_stale(f"no update for {age_ns // NS_PER_MS} ms", now_ns)

    def _run_slow_checks(self, now_ns: int) -> Effects:
        self._update_metrics()
        effects: list[Effect] = []
        for book in self._books.values():
            settings = self._settings[book.instrument.venue]
            if not book.sync.is_live:
                continue
            if book.is_shallow:
                effects += book.resync(BookState.SYNCING, "too few levels of the snapshot are left", now_ns)
            elif settings.audit_every_s and book.is_audit_due(now_ns, settings.audit_every_s * NS_PER_S):
                book.audit = Audit(book.sync.last_id, book.sync.book)
                effects.append(CallVenue(FetchSnapshot(settings.venue, book.sync.symbol, AUDIT_EPOCH)))
        return effects

    def _finish_audit(self, book: PublishedBook, verdict: Verdict | None, now_ns: int) -> Effects:
        if verdict is None:
            return ()
        book.audit = None
        self._audits.labels(book.instrument.venue, verdict).inc()
        if verdict is not Verdict.DIFFERS:
            return ()
        reason = "a fetched snapshot differs at the same id"
        return [
            *book.resync(BookState.GAP, reason, now_ns),
            LogEvent("book_audit_mismatch", {"symbol": book.sync.symbol, "book_id": book.sync.last_id}, "error"),
        ]

    def _set_feed_state(
        self, venue: Venue, state: FeedState, reason: str, now_ns: int, level: EventLevel = "info"
    ) -> Effects:
        before = self._feeds[venue]
        if (before.state, before.reason) == (state, reason):
            return ()
        self._feeds[venue] = FeedHealth(venue, state, reason, now_ns)
        self._live.labels(venue).set(state is FeedState.LIVE)
        facts = {"venue": venue, "state": state, "reason": reason}
        return [Publish(MARKET, self._feeds[venue]), LogEvent("feed_state_changed", facts, level)]

    def _update_metrics(self) -> None:
        for venue, stats in self._stats.items():
            books = [book for book in self._books.values() if book.instrument.venue == venue]
            stats.update_metrics([book.sync.stats for book in books])
            self._synced.labels(venue).set(sum(book.sync.state is BookState.SYNCED for book in books))
