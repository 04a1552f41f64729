"""Everything the market_data process is made of, on one page."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from random import random

from components.contracts.topics import BOOKS, MARKET
from components.contracts.values import Symbol
from components.market_data.config import MarketDataConfig, VenueConfig
from components.market_data.core.synchroniser import SyncPatience
from components.market_data.service.books import BookDesk, VenueTerms
from components.market_data.service.market import MarketDataService
from components.market_data.service.quotes import Patience, QuoteDesk
from components.market_data.service.rehearsal import rehearsed
from components.market_data.venues.alpaca.feed import ALPACA, AlpacaFeed
from components.market_data.venues.alpaca.session import Keys
from components.market_data.venues.dialect import Dialect
from components.market_data.venues.dialects import Reveal, dialect_of
from components.market_data.venues.feed import VenueFeed
from components.market_data.venues.listening import Listening
from components.market_data.venues.many import ManyFeeds
from components.market_data.venues.playback import RecordedClock, RecordedFeed
from components.market_data.venues.recorded import Recording, read_recording
from components.market_data.venues.recorder import Recorder
from components.runtime.clock import SystemClock
from components.runtime.metrics import Metrics
from components.runtime.process import Loop, Process
from components.runtime.retry import Backoff
from components.runtime.secrets import Secret
from components.runtime.service import Note


def market_data(process: Process) -> None:
    """Wire the parts together and serve until asked to stop."""
    config = process.config(MarketDataConfig)
    venues = {venue: dialect_of(venue, process.secret) for venue in config.venues}
    terms = [terms_of(venue, dialect, config.first_quote_ms_max) for venue, dialect in venues.items()]
    books = BookDesk(terms, process.metrics, random)
    feeds = [VenueFeed(dialect, venue, process.clock, random, process.metrics) for venue, dialect in venues.items()]
    quotes, stock = _stocks(process, config) if config.symbols else (None, None)
    many = ManyFeeds(feeds, stock, Backoff(first_ms_max=250, delay_ms_max=5_000), random)
    service = MarketDataService(quotes, books)
    process.serve(service, says=[MARKET, BOOKS], feed=many, venue=many, loop=Loop.ASYNC)


def playing(process: Process, recording: Recording, speed: float) -> None:
    """Serve a recording in the place of live venues until asked to stop; time is the recording's."""
    reader, clock = read_recording(recording), RecordedClock(process.clock)
    process.clock = clock
    feed = RecordedFeed(recording, reader, speed, clock, clock.pass_to)
    dialect = reader.dialect
    service = rehearsed(
        dialect.venue, tuple(reader.registry.by_symbol), dialect.rule, pushes_image=dialect.pushes_image
    )
    process.serve(service, says=[MARKET, BOOKS], feed=feed, venue=feed, loop=Loop.ASYNC)


def terms_of(config: VenueConfig, dialect: Dialect, first_book_ms_max: int) -> VenueTerms:
    """Say how a venue's books are kept and shown."""
    return VenueTerms(
        venue=dialect.venue,
        symbols=tuple(Symbol(symbol) for symbol in config.symbols),
        rule=dialect.rule,
        pushes_image=dialect.pushes_image,
        levels_published=config.levels_published,
        book_age_ms_max=config.book_age_ms_max,
        first_book_ms_max=first_book_ms_max,
        audit_every_s=config.audit_every_s,
        patience=SyncPatience(image_ms_max=config.answer_ms_max),
    )


def _stocks(process: Process, config: MarketDataConfig) -> tuple[QuoteDesk, AlpacaFeed]:
    symbols = tuple(Symbol(symbol) for symbol in config.symbols)
    keys = Keys(Secret(process.secret(config.alpaca.key)), Secret(process.secret(config.alpaca.secret)))
    patience = Patience(config.quote_age_ms_max, config.first_quote_ms_max)
    feed = AlpacaFeed(config.alpaca, keys, symbols, process.clock, random)
    return QuoteDesk(ALPACA, symbols, patience, process.metrics), feed


def listening(
    tables: Sequence[VenueConfig], reveal: Reveal, recorder: Recorder, note: Callable[[Note], None]
) -> Listening:
    """Wire live venues to a recorder, and to nobody else."""
    clock, metrics = SystemClock(), Metrics("record", version("xtrader"))
    dialects = [(table, dialect_of(table, reveal)) for table in tables]
    feeds = [
        VenueFeed(dialect, table, clock, random, metrics, recorder.tap(dialect.venue)) for table, dialect in dialects
    ]
    terms = [terms_of(table, dialect, table.first_data_ms_max) for table, dialect in dialects]
    service = MarketDataService(None, BookDesk(terms, metrics, random))
    many = ManyFeeds(feeds, None, Backoff(first_ms_max=250, delay_ms_max=5_000), random)
    rules = {dialect.venue: dialect.rule for _, dialect in dialects}
    return Listening(service, many, rules, recorder, clock, note)
