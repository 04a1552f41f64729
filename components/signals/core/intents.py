"""Writes a wish down as the intent that risk will judge, with everything it rests on."""

from msgspec import Struct

from components.contracts.market import BookState
from components.contracts.signals import Intent, ModelProvenance
from components.contracts.values import OrderType, StrategyId, StreamOffset, Symbol, Venue
from components.signals.core.identity import make_signal_id
from components.signals.core.model import ModelCard
from components.signals.core.strategy import OrderProposal

NS_PER_MS = 1_000_000


class SignalSettings(Struct, frozen=True, gc=False):
    """Under which name signals go out, and how long each step of one may take."""

    strategy: StrategyId
    run_id: str
    quote_age_ms_max: int
    signal_ttl_ms: int
    judge_ms_max: int
    symbols_max: int
    venue: Venue
    """Whose prices are traded on."""


class FeatureSnapshot(Struct, frozen=True, gc=False):
    """What was seen and thought before a wish; the places are the first and the last frame behind the features."""

    symbol: Symbol
    features: tuple[float, ...]
    prediction: tuple[float, ...]
    first_offset: StreamOffset
    last_offset: StreamOffset
    book_state: BookState
    tick_at_ns: int


def build_intent(
    proposal: OrderProposal,
    snapshot: FeatureSnapshot,
    settings: SignalSettings,
    *,
    card: ModelCard,
    sequence: int,
    now_ns: int,
) -> Intent:
    """Write one signal's only leg; its id follows from the terms and the sequence alone."""
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


def _provenance(snapshot: FeatureSnapshot, card: ModelCard) -> ModelProvenance:
    return ModelProvenance(
        model_hash=card.file_hash,
        schema_hash=card.schema_hash,
        features=snapshot.features,
        prediction=snapshot.prediction,
        input_offsets=(snapshot.first_offset, snapshot.last_offset),
        book_state=snapshot.book_state,
    )
