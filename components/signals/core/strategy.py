"""The strategy: when to enter or exit, at which price, and the intent that results.

It enters on a positive edge and exits (or enters short, where allowed) on a negative one. Signal ids contain an id of
the run, so that no two runs use the same id; with the same run id the same input gives the same ids.
"""

from base64 import b32encode
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Annotated, Final

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field

from components.contracts.market import BookState, Quote
from components.contracts.signals import Intent, ModelProvenance, Purpose
from components.contracts.values import (
    ZERO,
    OrderType,
    Side,
    SignalId,
    StrategyId,
    StreamOffset,
    Symbol,
    TimeInForce,
    Venue,
)
from components.signals.core.model import ModelCard

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
RANDOM_BYTES: Final = 4
"""Number of random bytes in a run id."""
TICK: Final = Decimal("0.01")
TICK_BELOW_ONE: Final = Decimal("0.0001")
"""US stocks quote in hundredths of a cent below one dollar (Regulation NMS, rule 612)."""
ONE_BASIS_POINT: Final = Decimal("0.0001")
Positive = Annotated[Decimal, Field(gt=0)]
Edge = Annotated[float, Field(gt=0, lt=1)]


class StrategySettings(BaseModel):
    """Thresholds, sizes and prices of the strategy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    edge_enter_min: Edge
    edge_exit_min: Edge
    cool_down_ms: int = Field(ge=0, le=3_600_000)
    quantity: Positive
    position_max: Positive
    price_offset_bps: Decimal = Field(ge=0, le=100)
    time_in_force: TimeInForce
    short_allowed: bool


class SignalSettings(Struct, frozen=True, gc=False):
    """Identity of the strategy and its run, and the time limits of a signal."""

    strategy: StrategyId
    run_id: str
    quote_age_ms_max: int
    signal_ttl_ms: int
    approval_timeout_ms: int
    symbols_max: int
    venue: Venue
    """The venue whose prices the strategy trades on."""


class PositionView(Struct, frozen=True, gc=False):
    """Position in one symbol: quantity held (negative when short) and quantity working at the venue."""

    held: Decimal = ZERO
    working_buy: Decimal = ZERO
    working_sell: Decimal = ZERO


class FeatureSnapshot(Struct, frozen=True, gc=False):
    """Features and prediction behind a proposal.

    The offsets are those of the first and the last quote that the features include.
    """

    symbol: Symbol
    features: tuple[float, ...]
    prediction: tuple[float, ...]
    first_offset: StreamOffset
    last_offset: StreamOffset
    book_state: BookState
    tick_at_ns: int


class OrderProposal(Struct, frozen=True, gc=False):
    """An order that the strategy proposes."""

    purpose: Purpose
    side: Side
    quantity: Decimal
    limit_price: Decimal
    time_in_force: TimeInForce


def decide(quote: Quote, edge: float, position: PositionView, settings: StrategySettings) -> OrderProposal | None:
    """Return the order that the model's edge justifies, or None."""
    side = Side.BUY if edge > 0 else Side.SELL
    opposite, same_side = (
        (position.working_sell, position.working_buy)
        if side is Side.BUY
        else (position.working_buy, position.working_sell)
    )
    # A venue rejects orders on both sides of one account at the same time as a wash trade.
    if opposite > ZERO:
        return None
    strength, held = abs(edge), position.held
    sized = _exit(side, strength, held, same_side, settings) or _entry(side, strength, held, same_side, settings)
    if sized is None:
        return None
    purpose, quantity = sized
    price = marketable_price(quote, side, settings.price_offset_bps)
    return OrderProposal(purpose, side, quantity, price, settings.time_in_force) if price > ZERO else None


def marketable_price(quote: Quote, side: Side, offset_bps: Decimal) -> Decimal:
    """Return a limit price that reaches the opposite side; rounding never exceeds the offset."""
    if side is Side.BUY:
        return _to_tick(quote.ask_price * (1 + offset_bps * ONE_BASIS_POINT), ROUND_FLOOR)
    return _to_tick(quote.bid_price * (1 - offset_bps * ONE_BASIS_POINT), ROUND_CEILING)


def build_intent(
    proposal: OrderProposal,
    snapshot: FeatureSnapshot,
    settings: SignalSettings,
    *,
    card: ModelCard,
    sequence: int,
    now_ns: int,
) -> Intent:
    """Return the only leg of a signal; its id is determined by the settings and the sequence."""
    return Intent(
        signal_id=make_signal_id(settings.strategy, settings.run_id, sequence),
        leg=0,
        strategy=settings.strategy,
        purpose=proposal.purpose,
        symbol=snapshot.symbol,
        side=proposal.side,
        quantity=proposal.quantity,
        order_type=OrderType.LIMIT,
        limit_price=proposal.limit_price,
        time_in_force=proposal.time_in_force,
        provenance=_provenance(snapshot, card),
        tick_at_ns=snapshot.tick_at_ns,
        created_at_ns=now_ns,
        expires_at_ns=now_ns + settings.signal_ttl_ms * NS_PER_MS,
    )


def new_run_id(now_ns: int, random_bytes: bytes) -> str:
    """Return an id for one start: its second, and enough random bytes to distinguish two starts in one second."""
    second = (now_ns // NS_PER_S).to_bytes(4, "big")
    return b32encode(second + random_bytes[:RANDOM_BYTES]).decode().rstrip("=").lower()


def make_signal_id(strategy: StrategyId, run_id: str, sequence: int) -> SignalId:
    """Return the id of the next signal of this run."""
    return SignalId(f"{strategy}-{run_id}-{sequence}")


def _exit(
    side: Side, strength: float, held: Decimal, same_side: Decimal, settings: StrategySettings
) -> tuple[Purpose, Decimal] | None:
    closing = -held * side.sign - same_side
    return (Purpose.EXIT, closing) if strength >= settings.edge_exit_min and closing > ZERO else None


def _entry(
    side: Side, strength: float, held: Decimal, same_side: Decimal, settings: StrategySettings
) -> tuple[Purpose, Decimal] | None:
    on_side = held * side.sign
    if strength < settings.edge_enter_min or on_side < ZERO or (side is Side.SELL and not settings.short_allowed):
        return None
    return (
        (Purpose.ENTRY, settings.quantity) if on_side + same_side + settings.quantity <= settings.position_max else None
    )


def _to_tick(price: Decimal, rounding: str) -> Decimal:
    tick = TICK if price >= 1 else TICK_BELOW_ONE
    return (price / tick).to_integral_value(rounding=rounding) * tick


def _provenance(snapshot: FeatureSnapshot, card: ModelCard) -> ModelProvenance:
    return ModelProvenance(
        model_hash=card.file_hash,
        schema_hash=card.schema_hash,
        features=snapshot.features,
        prediction=snapshot.prediction,
        input_offsets=(snapshot.first_offset, snapshot.last_offset),
        book_state=snapshot.book_state,
    )
