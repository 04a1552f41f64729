"""The exchange information of the Binance venues, written from what is listed."""

from collections.abc import Iterable
from decimal import Decimal

from components.sandbox.binance.rules import VenueRules
from components.sandbox.core.decimals import decimal_places
from components.sandbox.flow.listings import Instrument, InstrumentKind

Document = dict[str, object]
PERPETUAL_DELIVERY_MS = 4_133_404_800_000
ONBOARD_MS = 1_569_398_400_000


def exchange_info(rules: VenueRules, instruments: Iterable[Instrument], at_ms: int) -> Document:
    """Say what is listed, with its steps in the filters as everywhere at this venue."""
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
        # As at the venue, these are not the steps: whoever takes them for the tick and the lot is wrong.
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
