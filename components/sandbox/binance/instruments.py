"""The instruments that the simulated Binance venues list by default, and the exchange information written from them."""

from collections.abc import Iterable
from decimal import Decimal

from components.sandbox.binance.rules import VenueRules
from components.sandbox.numerics import decimal_places
from components.sandbox.simulation.instruments import EXPIRY_2026_MS, Instrument, InstrumentKind

Document = dict[str, object]
PERPETUAL_DELIVERY_MS = 4_133_404_800_000  # 25 December 2100: the date that the venue sends for perpetuals
ONBOARD_MS = 1_569_398_400_000  # 25 September 2019


def exchange_info(rules: VenueRules, instruments: Iterable[Instrument], at_ms: int) -> Document:
    """Return the exchange information; increments stand in the filters, as at the real venue."""
    document = _futures_symbol if rules.is_futures else _spot_symbol
    limit = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": rules.weight_max}
    return {
        "timezone": "UTC",
        "serverTime": at_ms,
        "rateLimits": [limit],
        "exchangeFilters": [],
        "symbols": [document(one) for one in instruments],
    }


def _spot_symbol(one: Instrument) -> Document:
    return {
        "symbol": one.symbol,
        "status": "TRADING",
        "baseAsset": one.base,
        "baseAssetPrecision": 8,
        "quoteAsset": one.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [*_filters(one, "{:.8f}"), {"filterType": "NOTIONAL", "minNotional": "5.00000000"}],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _futures_symbol(one: Instrument) -> Document:
    return {
        "symbol": one.symbol,
        "pair": one.base + one.quote,
        "contractType": "CURRENT_QUARTER" if one.kind is InstrumentKind.FUTURE else "PERPETUAL",
        "deliveryDate": one.expiry_ms or PERPETUAL_DELIVERY_MS,
        "onboardDate": ONBOARD_MS,
        "status": "TRADING",
        "baseAsset": one.base,
        "quoteAsset": one.quote,
        "marginAsset": one.settle,
        # As at the real venue, the precisions are not the increments: a client that uses them as tick and lot is wrong.
        "pricePrecision": decimal_places(one.tick) + 1,
        "quantityPrecision": decimal_places(one.lot),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "filters": [*_filters(one, "{:f}"), {"filterType": "MIN_NOTIONAL", "notional": "5"}],
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _filters(one: Instrument, form: str) -> list[Document]:
    least, most = one.tick, one.price * 1000
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": form.format(least),
            "maxPrice": form.format(most),
            "tickSize": form.format(one.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": form.format(one.lot),
            "maxQty": form.format(one.lot * Decimal(1_000_000_000)),
            "stepSize": form.format(one.lot),
        },
    ]


def _spot_instrument(base: str, quote: str, tick: str, lot: str, price: str) -> Instrument:
    return Instrument(
        symbol=base + quote, base=base, quote=quote, tick=Decimal(tick), lot=Decimal(lot), price=Decimal(price)
    )


def _futures_instrument(base: str, quote: str, steps: tuple[str, str], price: str, expiry_ms: int = 0) -> Instrument:
    return Instrument(
        symbol=f"{base}{quote}_261225" if expiry_ms else base + quote,
        base=base,
        quote=quote,
        settle=quote,
        kind=InstrumentKind.FUTURE if expiry_ms else InstrumentKind.PERPETUAL,
        tick=Decimal(steps[0]),
        lot=Decimal(steps[1]),
        price=Decimal(price),
        expiry_ms=expiry_ms,
    )


SPOT_INSTRUMENTS = (
    _spot_instrument("BTC", "USDT", "0.01", "0.00001", "91000.00"),
    _spot_instrument("ETH", "USDT", "0.01", "0.0001", "3000.00"),
    _spot_instrument("BNB", "BTC", "0.000001", "0.001", "0.009800"),
    _spot_instrument("SOL", "USDC", "0.01", "0.001", "140.00"),
    _spot_instrument("1000SATS", "USDT", "0.00000001", "1", "0.00021000"),
)
USD_M_INSTRUMENTS = (
    _futures_instrument("BTC", "USDT", ("0.10", "0.001"), "91000.00"),
    _futures_instrument("ETH", "USDT", ("0.01", "0.001"), "3000.00"),
    _futures_instrument("1000SHIB", "USDT", ("0.000001", "1"), "0.009100"),
    _futures_instrument("SOL", "USDC", ("0.0100", "0.01"), "140.0000"),
    _futures_instrument("BTC", "USDT", ("0.1", "0.001"), "91600.0", EXPIRY_2026_MS),
)
