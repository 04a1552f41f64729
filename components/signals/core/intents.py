"""Writes a wish down as the intent that risk will judge, with everything it rests on."""

from msgspec import Struct

from components.contracts.market import BookState
from components.contracts.signals import Evidence, Intent
from components.contracts.values import OrderType, Place, StrategyId, Symbol, Venue
from components.signals.core.identity import name_signal
from components.signals.core.model import ModelCard
from components.signals.core.strategy import Wish

NS_PER_MS = 1_000_000


class Terms(Struct, frozen=True, gc=False):
    """Under which name signals go out, and how long each step of one may take."""

    strategy: StrategyId
    epoch: str
    quote_age_ms_max: int
    signal_ttl_ms: int
    judge_ms_max: int
    symbols_max: int
    venue: Venue
    """Whose prices are traded on."""


class Sight(Struct, frozen=True, gc=False):
    """What was seen and thought before a wish; the places are the first and the last frame behind the features."""

    symbol: Symbol
    features: tuple[float, ...]
    prediction: tuple[float, ...]
    first: Place
    last: Place
    book_state: BookState
    tick_at_ns: int


def write_intent(wish: Wish, sight: Sight, terms: Terms, *, card: ModelCard, sequence: int, now_ns: int) -> Intent:
    """Write one signal's only leg; its id follows from the terms and the sequence alone."""
    return Intent(
        signal_id=name_signal(terms.strategy, terms.epoch, sequence),
        leg=0,
        strategy=terms.strategy,
        purpose=wish.purpose,
        symbol=sight.symbol,
        side=wish.side,
        quantity=wish.quantity,
        order_type=OrderType.LIMIT,
        limit_price=wish.limit_price,
        time_in_force=wish.time_in_force,
        evidence=_evidence(sight, card),
        tick_at_ns=sight.tick_at_ns,
        created_at_ns=now_ns,
        expires_at_ns=now_ns + terms.signal_ttl_ms * NS_PER_MS,
    )


def _evidence(sight: Sight, card: ModelCard) -> Evidence:
    return Evidence(
        model_hash=card.file_hash,
        schema_hash=card.schema_hash,
        features=sight.features,
        prediction=sight.prediction,
        seen=(sight.first, sight.last),
        book_state=sight.book_state,
    )
