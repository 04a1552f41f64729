"""The schema of the table [market_data]."""

import re
from typing import Annotated, ClassVar, Literal, Self, TypeAlias, TypeVar

from pydantic import Field, field_validator, model_validator

from components.market_data.core.queues import OverflowPolicy
from components.runtime.config.schema import SecretReference, Table, VenueUrl

SymbolText = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9.]{0,11}$")]

_SYMBOL_PART = r"[^\s:a-z-]{1,24}"
_SYMBOL_SUFFIX = r"(-PERP|-\d{6}(-\d[\d.D]{0,15}-[CP])?)?"

AnyVenueConfig = TypeVar("AnyVenueConfig", bound="VenueConfig")
Milliseconds: TypeAlias = Annotated[int, Field(ge=1, le=3_600_000)]
QueueBound: TypeAlias = Annotated[int, Field(ge=1, le=1_000_000)]


class AlpacaConfig(Table):
    """The address of Alpaca's stock stream, its credentials and timeouts."""

    stream_url: VenueUrl
    key: SecretReference
    secret: SecretReference
    symbols_max: int = Field(ge=1, le=10_000)
    connect_timeout_ms: int = Field(ge=100, le=60_000)
    reply_timeout_ms: int = Field(ge=100, le=10_000)
    close_timeout_ms: int = Field(ge=10, le=10_000)
    ping_every_ms: int = Field(ge=100, le=60_000)
    pong_timeout_ms: int = Field(ge=100, le=60_000)
    no_data_timeout_ms: int = Field(ge=500, le=60_000)
    no_data_timeout_ms_max: int = Field(ge=500, le=3_600_000)
    retry_ms_first: int = Field(ge=1, le=250)
    retry_ms_max: int = Field(ge=1, le=60_000)
    frame_bytes_max: int = Field(ge=1_024, le=64 * 1024 * 1024)

    @model_validator(mode="after")
    def _timeouts_ascend(self) -> Self:
        _check_ascending(self, "no_data_timeout_ms", "no_data_timeout_ms_max")
        _check_ascending(self, "retry_ms_first", "retry_ms_max")
        return self


class QueueConfig(Table):
    """Bounds and overflow policies of the queues between a venue's sockets and the service."""

    depth: OverflowPolicy
    depth_max: QueueBound
    quotes: OverflowPolicy
    quotes_max: QueueBound
    trades: OverflowPolicy
    trades_max: QueueBound

    @model_validator(mode="after")
    def _books_lose_nothing(self) -> Self:
        if self.depth is not OverflowPolicy.BLOCK:
            raise ValueError(f"depth: {self.depth} would lose book updates; only {OverflowPolicy.BLOCK} is allowed")
        if self.trades is OverflowPolicy.CONFLATE:
            raise ValueError(
                f"trades: {self.trades} would merge trades of one symbol into the last one; use drop_oldest"
            )
        return self


class VenueConfig(Table):
    """One crypto venue: symbols, addresses, timeouts, queues, and how its books are published."""

    VENUE: ClassVar[str]

    symbols: tuple[str, ...]
    """Unified symbols. If there are none, no connection is made to the venue."""
    stream_url: VenueUrl
    rest_url: VenueUrl
    connect_timeout_ms: int = Field(ge=100, le=60_000)
    reply_timeout_ms: int = Field(ge=50, le=60_000)
    ping_after_idle_ms: int = Field(ge=50, le=600_000)
    first_data_timeout_ms: int = Field(ge=50, le=600_000)
    no_data_timeout_ms: int = Field(ge=50, le=3_600_000)
    adaptive_timeout_ms_max: Milliseconds
    retry_ms_first: int = Field(ge=1, le=250)
    retry_ms_max: int = Field(ge=1, le=60_000)
    healthy_after_ms: Milliseconds
    connects_burst: int = Field(ge=1, le=100)
    breaker_failures_max: int = Field(ge=1, le=1_000)
    breaker_pause_ms: Milliseconds
    frame_bytes_max: int = Field(ge=1_024, le=256 * 1024 * 1024)
    body_bytes_max: int = Field(ge=1_024, le=1024 * 1024 * 1024)
    requests_queued_max: int = Field(ge=1, le=16)
    instruments_every_s: int = Field(ge=1, le=86_400)
    levels_published: int = Field(ge=1, le=5_000)
    book_age_ms_max: Milliseconds
    audit_every_s: int = Field(ge=0, le=86_400)
    quotes: bool
    trades: bool
    queues: QueueConfig

    @field_validator("symbols")
    @classmethod
    def _symbols_are_of_the_venue(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in symbols:
            if re.fullmatch(f"{cls.VENUE}:{_SYMBOL_PART}-{_SYMBOL_PART}{_SYMBOL_SUFFIX}", symbol) is None:
                raise ValueError(
                    f"{symbol} is not a symbol of {cls.VENUE}: write {cls.VENUE}:BASE-QUOTE,"
                    " followed by -PERP, -YYMMDD, -YYMMDD-STRIKE-C or -YYMMDD-STRIKE-P unless it is a spot pair"
                )
        if len(set(symbols)) != len(symbols):
            raise ValueError("each may occur once")
        return symbols

    @model_validator(mode="after")
    def _timeouts_ascend(self) -> Self:
        _check_ascending(self, "retry_ms_first", "retry_ms_max")
        _check_ascending(self, "first_data_timeout_ms", "adaptive_timeout_ms_max")
        _check_ascending(self, "no_data_timeout_ms", "adaptive_timeout_ms_max")
        return self


class BinanceConfig(VenueConfig):
    """Binance's spot market."""

    VENUE = "BINANCE"

    depth_speed_ms: Literal[100, 1000]
    snapshot_depth: int = Field(ge=100, le=5_000)

    @model_validator(mode="after")
    def _snapshot_is_deeper(self) -> Self:
        return _check_snapshot_depth(self, self.snapshot_depth)


class BinanceUmConfig(VenueConfig):
    """Binance's USD-M futures."""

    VENUE = "BINANCEUM"

    depth_speed_ms: Literal[100, 250, 500]
    snapshot_depth: Literal[5, 10, 20, 50, 100, 500, 1000]

    @model_validator(mode="after")
    def _snapshot_is_deeper(self) -> Self:
        return _check_snapshot_depth(self, self.snapshot_depth)


class OkxConfig(VenueConfig):
    """OKX: spot, swaps and futures; options if their families are named."""

    VENUE = "OKX"

    depth_channel: Literal["books", "books5", "bbo-tbt", "books-l2-tbt", "books50-l2-tbt"]
    checksum: Literal["non_zero", "never"]
    option_families: tuple[str, ...]


class DeribitConfig(VenueConfig):
    """Deribit: the fastest channel requires a login."""

    VENUE = "DERIBIT"

    interval: Literal["raw", "100ms", "agg2"]
    key: SecretReference | None = None
    secret: SecretReference | None = None

    @model_validator(mode="after")
    def _raw_needs_keys(self) -> Self:
        if (self.key is None) != (self.secret is None):
            raise ValueError("key, secret: set both or none")
        if self.interval == "raw" and self.key is None:
            raise ValueError("interval: raw needs a key and a secret; without them the fastest is 100ms")
        return self


class AlpacaCryptoConfig(VenueConfig):
    """Alpaca's crypto stream; it uses the credentials of the stock stream."""

    VENUE = "ALPACA"

    key: SecretReference
    secret: SecretReference


class MarketDataConfig(Table):
    """The configured symbols and venues, and how long their prices are trusted."""

    symbols: tuple[SymbolText, ...]
    quote_age_ms_max: int = Field(ge=50, le=600_000)
    first_quote_timeout_ms: int = Field(ge=0, le=600_000)
    alpaca: AlpacaConfig
    alpaca_crypto: AlpacaCryptoConfig | None = None
    binance: BinanceConfig | None = None
    binanceum: BinanceUmConfig | None = None
    okx: OkxConfig | None = None
    deribit: DeribitConfig | None = None

    @property
    def venues(self) -> tuple[VenueConfig, ...]:
        """Return the crypto venues that have symbols."""
        every = (self.alpaca_crypto, self.binance, self.binanceum, self.okx, self.deribit)
        return tuple(venue for venue in every if venue is not None and venue.symbols)

    @model_validator(mode="after")
    def _symbols_within_limit(self) -> Self:
        if not self.symbols and not self.venues:
            raise ValueError("symbols: nothing is configured; set stocks here or symbols in a venue's table")
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols: each may occur once")
        if len(self.symbols) > self.alpaca.symbols_max:
            raise ValueError(
                f"symbols: {len(self.symbols)}, but alpaca.symbols_max is {self.alpaca.symbols_max} (the plan's limit)"
            )
        return self


def _check_snapshot_depth(table: AnyVenueConfig, snapshot_depth: int) -> AnyVenueConfig:
    if table.levels_published >= snapshot_depth:
        raise ValueError(
            f"levels_published: {table.levels_published} must be below snapshot_depth {snapshot_depth}: "
            "levels deeper than the snapshot are unknown"
        )
    return table


def _check_ascending(table: Table, lower: str, upper: str) -> None:
    low, high = getattr(table, lower), getattr(table, upper)
    if low > high:
        raise ValueError(f"{lower}: {low} is above {upper} {high}")
