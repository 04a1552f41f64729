"""The simulated stock market: one regime-switching price walk per symbol, deterministic by seed.

All values are integers (micro-dollars inside, cents outside), so a walk is identical on every machine. The quotes
predict the price a little, in two ways: a regime drifts for about a minute (momentum), and the pressure that shows in
the two sizes leads the price.
"""

from collections.abc import Iterator
from enum import IntEnum
from hashlib import blake2b

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.numerics import draws, is_drawn, normal_draw

MICROS_PER_CENT = 10_000
SWITCH_ONE_IN = 240  # a regime lasts 240 quotes on average, 48 seconds at speed 1
TRADE_ONE_IN = 5  # five quotes a second make about one trade a second
PRESSURE_KEPT_PERCENT = 88  # pressure halves within 5 to 6 quotes, about one second
PRESSURE_MAX = 900  # of 1000, so that neither size ever reaches zero
PRESSURE_LEADS = 350  # price change caused by full pressure, in thousandths of a basis point per quote
# Reversion to the initial price: weak enough to allow trends, strong enough to keep prices positive.
PULL_DIVISOR = 20_000
CENTS_MIN = 100
INITIAL_PRICES_CENTS = {
    "AAPL": 19_000,
    "AMD": 16_000,
    "AMZN": 18_500,
    "GOOGL": 17_500,
    "META": 50_000,
    "MSFT": 42_000,
    "NVDA": 13_000,
    "QQQ": 48_000,
    "SPY": 56_000,
    "TSLA": 25_000,
}


class Regime(IntEnum):
    """The state of a symbol's market."""

    NEUTRAL = 0
    UP = 1
    DOWN = 2
    VOLATILE = 3


# Per regime: drift and standard deviation of one quote, in thousandths of a basis point of the initial price.
DRIFT = {Regime.NEUTRAL: 0, Regime.UP: 80, Regime.DOWN: -80, Regime.VOLATILE: 0}
DEVIATION = {Regime.NEUTRAL: 400, Regime.UP: 500, Regime.DOWN: 500, Regime.VOLATILE: 1_100}
# Per regime: change of the pressure in one quote.
PRESSURE_DRIFT = {Regime.NEUTRAL: 0, Regime.UP: 18, Regime.DOWN: -18, Regime.VOLATILE: 0}


class PriceWalk(Struct, frozen=True, array_like=True):
    """The complete state of one symbol's walk."""

    symbol: str
    first_micros: int
    step: int
    mid_micros: int
    regime: Regime
    pressure: int


class MarketQuote(Struct, frozen=True, gc=False):
    """The best bid and ask after one step; prices in cents, sizes in shares."""

    symbol: str
    bid_cents: int
    ask_cents: int
    bid_size: int
    ask_size: int


class MarketTrade(Struct, frozen=True, gc=False):
    """One simulated trade; price in cents, size in shares."""

    symbol: str
    price_cents: int
    size: int


def start_walk(symbol: str) -> PriceWalk:
    """Return the initial state of a symbol's walk; the price of an unknown symbol is derived from its name."""
    cents = (
        INITIAL_PRICES_CENTS.get(symbol)
        or 2_000 + int.from_bytes(blake2b(symbol.encode(), digest_size=4).digest(), "big") % 40_000
    )
    return PriceWalk(symbol, cents * MICROS_PER_CENT, 0, cents * MICROS_PER_CENT, Regime.NEUTRAL, 0)


def advance_walk(walk: PriceWalk, seed: int) -> tuple[PriceWalk, MarketQuote, MarketTrade | None]:
    """Return the walk after one step, its quote, and its trade if there is one."""
    drawn = draws(seed, walk.symbol, walk.step)
    regime = Regime(drawn[1] % len(Regime)) if is_drawn(drawn[0], SWITCH_ONE_IN) else walk.regime
    pressure = _next_pressure(walk.pressure, regime, drawn[2])
    mid = max(CENTS_MIN * MICROS_PER_CENT, walk.mid_micros + _price_change(walk, regime, drawn[3]))
    moved = replace(walk, step=walk.step + 1, mid_micros=mid, regime=regime, pressure=pressure)
    quote = _quote(moved, drawn[4], drawn[5])
    return moved, quote, _trade(quote, pressure, drawn[6], drawn[7])


def generate_market(symbol: str, seed: int) -> Iterator[tuple[MarketQuote, MarketTrade | None]]:
    """Yield the quotes and trades of a symbol without end, without waiting."""
    walk = start_walk(symbol)
    while True:
        walk, quote, trade = advance_walk(walk, seed)
        yield quote, trade


def set_mid_price(walk: PriceWalk, bid_cents: int, ask_cents: int) -> PriceWalk:
    """Return the walk with its price set by hand; later steps continue from there."""
    return replace(walk, mid_micros=(bid_cents + ask_cents) * MICROS_PER_CENT // 2)


def _next_pressure(pressure: int, regime: Regime, draw: int) -> int:
    pressed = pressure * PRESSURE_KEPT_PERCENT // 100 + PRESSURE_DRIFT[regime] + normal_draw(draw) * 170 // 1000
    return max(-PRESSURE_MAX, min(PRESSURE_MAX, pressed))


def _price_change(walk: PriceWalk, regime: Regime, draw: int) -> int:
    # The pressure visible in the last quote moves this one; that makes the sizes predictive.
    milli_points = (
        DRIFT[regime] + walk.pressure * PRESSURE_LEADS // 1000 + normal_draw(draw) * DEVIATION[regime] // 1000
    )
    pull = (walk.first_micros - walk.mid_micros) // PULL_DIVISOR
    return walk.first_micros * milli_points // 10_000_000 + pull


def _quote(walk: PriceWalk, spread_draw: int, size_draw: int) -> MarketQuote:
    wide = 2 if walk.regime is Regime.VOLATILE else 1
    # One basis point wide, at least two cents, plus a random cent.
    half_micros = max(MICROS_PER_CENT, walk.first_micros // 20_000) * wide + spread_draw % MICROS_PER_CENT
    bid = max(1, (walk.mid_micros - half_micros) // MICROS_PER_CENT)
    ask = max(bid + 1, -((-walk.mid_micros - half_micros) // MICROS_PER_CENT))
    base = 200 + size_draw % 400
    bid_size = (1000 + walk.pressure) * base // 1000
    ask_size = (1000 - walk.pressure) * base // 1000
    return MarketQuote(walk.symbol, bid, ask, _round_lot(bid_size), _round_lot(ask_size))


def _round_lot(size: int) -> int:
    return max(10, size // 10 * 10)


def _trade(quote: MarketQuote, pressure: int, draw: int, size_draw: int) -> MarketTrade | None:
    if not is_drawn(draw, TRADE_ONE_IN):
        return None
    buyer = (draw >> 8) % 2000 < 1000 + pressure
    price = quote.ask_cents if buyer else quote.bid_cents
    return MarketTrade(quote.symbol, price, 1 + size_draw % 200)
