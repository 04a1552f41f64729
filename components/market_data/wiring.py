"""The composition root of market_data: the live process, a served recording, live capture and offline replay."""

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from random import random
from typing import Final

from components.contracts.streams import BOOKS, MARKET
from components.contracts.values import Symbol
from components.market_data.config import MarketDataConfig, VenueConfig
from components.market_data.core.book.synchronizer import SyncLimits
from components.market_data.service.market_data import MarketDataService
from components.market_data.service.order_books import OrderBookService, VenueBookSettings
from components.market_data.service.quotes import QuoteService, QuoteTimeouts
from components.market_data.service.replay import ReplayDriver, replay_service
from components.market_data.venues.adapter import ApiCredentials, VenueAdapter
from components.market_data.venues.alpaca.stock_feed import ALPACA_STOCKS, AlpacaStockFeed
from components.market_data.venues.feeds import FeedGroup, VenueFeed
from components.market_data.venues.recording.capture import CaptureSession, Recorder
from components.market_data.venues.recording.reader import Recording, open_recording
from components.market_data.venues.recording.replay_feed import (
    ReplayClock,
    ReplayFeed,
    ReplayPacer,
    replay_events,
    throttled,
)
from components.market_data.venues.registry import SecretResolver, create_adapter
from components.runtime.clock import SystemClock
from components.runtime.config.secrets import Secret
from components.runtime.metrics import Metrics
from components.runtime.process.process import Process
from components.runtime.retry import Backoff
from components.runtime.service import LogEvent, Publish

FEED_RESTART_BACKOFF: Final = Backoff(first_ms_max=250, delay_ms_max=5_000)


def market_data(process: Process) -> None:
    """Build the process and serve until it is asked to stop."""
    config = process.config(MarketDataConfig)
    adapters = [(table, create_adapter(table, process.secret)) for table in config.venues]
    settings = [book_settings(table, adapter, config.first_quote_timeout_ms) for table, adapter in adapters]
    books = OrderBookService(settings, process.metrics, random)
    feeds = [VenueFeed(adapter, table, process.clock, random, process.metrics) for table, adapter in adapters]
    quotes, stock = _stock_feed(process, config) if config.symbols else (None, None)
    group = FeedGroup(feeds, stock, FEED_RESTART_BACKOFF, random)
    service = MarketDataService(quotes, books)
    process.run(service, publishes=[MARKET, BOOKS], feed=group, venue=group)


def serve_recording(process: Process, recording: Recording, speed: float) -> None:
    """Serve a recording in place of live venues until asked to stop, on the time of the recording."""
    reader, clock = open_recording(recording), ReplayClock(process.clock)
    process.clock = clock
    feed = ReplayFeed(recording, reader, speed, clock, clock.advance_to)
    adapter = reader.adapter
    service = replay_service(
        adapter.venue, tuple(reader.registry.by_symbol), adapter.sequence_rule, pushes_snapshot=adapter.pushes_snapshot
    )
    process.run(service, publishes=[MARKET, BOOKS], feed=feed, venue=feed)


def book_settings(config: VenueConfig, adapter: VenueAdapter, first_book_timeout_ms: int) -> VenueBookSettings:
    """Return how a venue's books are synchronized and published."""
    return VenueBookSettings(
        venue=adapter.venue,
        symbols=tuple(Symbol(symbol) for symbol in config.symbols),
        sequence_rule=adapter.sequence_rule,
        pushes_snapshot=adapter.pushes_snapshot,
        levels_published=config.levels_published,
        book_age_ms_max=config.book_age_ms_max,
        first_book_timeout_ms=first_book_timeout_ms,
        audit_every_s=config.audit_every_s,
        sync_limits=SyncLimits(snapshot_timeout_ms=config.reply_timeout_ms),
    )


def _stock_feed(process: Process, config: MarketDataConfig) -> tuple[QuoteService, AlpacaStockFeed]:
    symbols = tuple(Symbol(symbol) for symbol in config.symbols)
    key, secret = process.secret(config.alpaca.key), process.secret(config.alpaca.secret)
    credentials = ApiCredentials(Secret(key), Secret(secret))
    timeouts = QuoteTimeouts(config.quote_age_ms_max, config.first_quote_timeout_ms)
    feed = AlpacaStockFeed(config.alpaca, credentials, symbols, process.clock, random)
    return QuoteService(ALPACA_STOCKS, symbols, timeouts, process.metrics), feed


def capture_session(
    tables: Sequence[VenueConfig], resolve_secret: SecretResolver, recorder: Recorder, log: Callable[[LogEvent], None]
) -> CaptureSession:
    """Build a session that records live venues and publishes nothing."""
    clock, metrics = SystemClock(), Metrics("record", version("xtrader"))
    adapters = [(table, create_adapter(table, resolve_secret)) for table in tables]
    feeds = [
        VenueFeed(adapter, table, clock, random, metrics, recorder.tap(adapter.venue)) for table, adapter in adapters
    ]
    settings = [book_settings(table, adapter, table.first_data_timeout_ms) for table, adapter in adapters]
    service = MarketDataService(None, OrderBookService(settings, metrics, random))
    group = FeedGroup(feeds, None, FEED_RESTART_BACKOFF, random)
    rules = {adapter.venue: adapter.sequence_rule for _, adapter in adapters}
    return CaptureSession(service, group, rules, recorder, clock, log)


def replay_messages(recording: Recording, speed: float) -> Iterator[Publish | LogEvent]:
    """Yield what would be published and logged, in order, at the given speed."""
    reader, clock = open_recording(recording), SystemClock()
    adapter, symbols = reader.adapter, tuple(reader.registry.by_symbol)
    service = replay_service(adapter.venue, symbols, adapter.sequence_rule, pushes_snapshot=adapter.pushes_snapshot)
    events = throttled(replay_events(recording, reader, clock), ReplayPacer(speed, clock))
    return ReplayDriver(service, clock.monotonic_ns).run(events)
