"""The schema of the table [market_data]."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from components.runtime.secrets import SecretReference
from components.runtime.tables import Table
from components.runtime.venue_hosts import VenueUrl

SymbolText = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9.]{0,11}$")]


class AlpacaConfig(Table):
    """Where Alpaca's stock stream is and how patient we are with it."""

    stream_url: VenueUrl
    key: SecretReference
    secret: SecretReference
    symbols_max: int = Field(ge=1, le=10_000)
    connect_ms_max: int = Field(ge=100, le=60_000)
    reply_ms_max: int = Field(ge=100, le=10_000)
    close_ms_max: int = Field(ge=10, le=10_000)
    ping_every_ms: int = Field(ge=100, le=60_000)
    ping_ms_max: int = Field(ge=100, le=60_000)
    mute_ms_first: int = Field(ge=500, le=60_000)
    mute_ms_max: int = Field(ge=500, le=3_600_000)
    retry_ms_first: int = Field(ge=1, le=250)
    retry_ms_max: int = Field(ge=1, le=60_000)
    frame_bytes_max: int = Field(ge=1_024, le=64 * 1024 * 1024)

    @model_validator(mode="after")
    def _patience_grows(self) -> Self:
        if self.mute_ms_first > self.mute_ms_max:
            raise ValueError(f"mute_ms_first: {self.mute_ms_first} is above mute_ms_max {self.mute_ms_max}")
        if self.retry_ms_first > self.retry_ms_max:
            raise ValueError(f"retry_ms_first: {self.retry_ms_first} is above retry_ms_max {self.retry_ms_max}")
        return self


class MarketDataConfig(Table):
    """What is listened to and how long it is trusted."""

    symbols: tuple[SymbolText, ...] = Field(min_length=1)
    quote_age_ms_max: int = Field(ge=50, le=600_000)
    first_quote_ms_max: int = Field(ge=0, le=600_000)
    alpaca: AlpacaConfig

    @model_validator(mode="after")
    def _symbols_fit(self) -> Self:
        if len(set(self.symbols)) != len(self.symbols):
            raise ValueError("symbols: each may stand once")
        if len(self.symbols) > self.alpaca.symbols_max:
            raise ValueError(
                f"symbols: {len(self.symbols)}, but alpaca.symbols_max is {self.alpaca.symbols_max} (the plan's limit)"
            )
        return self
