"""Schemas of [risk.limits] and [risk.timing]."""

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from components.contracts.decisions import CheckName
from components.contracts.values import Symbol, format_decimal

NS_PER_MS: Final = 1_000_000
VERSION_BYTES: Final = 8
SymbolText = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9.]{0,11}$")]
Positive = Annotated[Decimal, Field(gt=0, le=Decimal("1e12"))]


class StrictTable(BaseModel):
    """A configuration table: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Limits(StrictTable):
    """Limits of one order, one symbol and the account; every decision stores the version of its limits."""

    symbols: tuple[SymbolText, ...] = Field(min_length=1, max_length=1_000)
    signal_age_ms_max: int = Field(ge=1, le=600_000)
    clock_skew_ms_max: int = Field(ge=0, le=10_000)
    repeat_window_ms: int = Field(ge=0, le=60_000)
    quote_age_ms_max: int = Field(ge=1, le=600_000)
    spread_bps_max: Positive
    price_collar_bps_max: Positive
    price_tick: Positive
    price_tick_below_one: Positive
    order_quantity_max: Positive
    quantity_increment: Positive
    order_notional_max: Positive
    position_quantity_max: Positive
    short_selling: bool
    open_orders_max: int = Field(ge=1, le=10_000)
    order_rate_per_minute_max: int = Field(ge=1, le=1_000_000)

    @field_validator("symbols")
    @classmethod
    def _unique_symbols(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(symbols)) != len(symbols):
            raise ValueError("each symbol may be listed once")
        return symbols

    @cached_property
    def allowed_symbols(self) -> frozenset[Symbol]:
        """The allow-list as a set."""
        return frozenset(Symbol(symbol) for symbol in self.symbols)

    @cached_property
    def canonical_json(self) -> str:
        """These limits as canonical JSON: equal limits give equal text."""
        fields = {name: _plain(getattr(self, name)) for name in type(self).model_fields}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @cached_property
    def version(self) -> str:
        """Hash of the canonical JSON."""
        return blake2b(self.canonical_json.encode(), digest_size=VERSION_BYTES).hexdigest()

    @cached_property
    def descriptions(self) -> Mapping[CheckName, str]:
        """The limit of each check as text, built once because every decision contains it."""
        increment = format_decimal(self.quantity_increment)
        return {
            CheckName.SYMBOL_ALLOWED: f"one of {len(self.symbols)} symbols",
            CheckName.SIGNAL_AGE: f"{self.signal_age_ms_max} ms",
            CheckName.DUPLICATE: f"no repeat within {self.repeat_window_ms} ms",
            CheckName.QUOTE_AGE: f"{self.quote_age_ms_max} ms",
            CheckName.SPREAD: f"{format_decimal(self.spread_bps_max)} bps",
            CheckName.PRICE_COLLAR: f"{format_decimal(self.price_collar_bps_max)} bps",
            CheckName.ORDER_QUANTITY: f"{format_decimal(self.order_quantity_max)} by {increment}",
            CheckName.ORDER_NOTIONAL: format_decimal(self.order_notional_max),
            CheckName.POSITION: format_decimal(self.position_quantity_max),
            CheckName.SHORT_SALE: "short" if self.short_selling else "0",
            CheckName.OPEN_ORDERS: str(self.open_orders_max),
            CheckName.ORDER_RATE: f"{self.order_rate_per_minute_max} a minute",
        }

    def tick_size(self, price: Decimal) -> Decimal:
        """Return the tick size at this price."""
        return self.price_tick if price >= 1 else self.price_tick_below_one


class Timing(StrictTable):
    """Lifetime of approvals, retry intervals, and maximum age of evidence."""

    approval_ttl_ms: int = Field(ge=100, le=300_000)
    command_retry_ms: int = Field(ge=10, le=60_000)
    order_age_ms_max: int = Field(ge=100, le=86_400_000)
    cancel_retry_ms: int = Field(ge=100, le=600_000)
    reconciliation_age_ms_max: int = Field(ge=1_000, le=600_000)
    data_age_ms_max: int = Field(ge=100, le=600_000)
    clock_jump_ms_max: int = Field(ge=100, le=60_000)
    clock_suspect_ms: int = Field(ge=0, le=600_000)
    pnl_interval_ms: int = Field(ge=50, le=60_000)


def _plain(value: Any) -> Any:  # noqa: ANN401 -- any field of the model
    if isinstance(value, Decimal):
        return format_decimal(value)
    return sorted(value) if isinstance(value, tuple) else value
