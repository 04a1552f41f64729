"""Instruments as Deribit describes them, and which of them a question is about."""

from decimal import Decimal

from components.sandbox.deribit.numbers import number
from components.sandbox.flow.listings import Kind, Listing

KINDS = {Kind.SPOT: "spot", Kind.PERPETUAL: "future", Kind.FUTURE: "future", Kind.OPTION: "option"}
CURRENCIES = ("BTC", "ETH", "USDC", "USDT", "EURR", "any")
FOREVER_MS = 32_503_708_800_000  # what the venue gives for contracts without end
# Options are finer below this price.
STEP_ABOVE, FINER = Decimal("0.005"), Decimal(5)
Document = dict[str, object]


def instrument(listing: Listing, place: int) -> Document:
    """Describe one instrument."""
    is_option = listing.kind is Kind.OPTION
    steps = [{"above_price": number(STEP_ABOVE), "tick_size": number(listing.tick)}] if is_option else []
    return {
        "instrument_name": listing.symbol,
        "instrument_id": 210_000 + place,
        "kind": KINDS[listing.kind],
        "instrument_type": "reversed" if listing.is_inverse else "linear",
        "base_currency": listing.base,
        "quote_currency": listing.quote,
        # Options on coins are priced in the coin and counted against dollars.
        "counter_currency": "USD" if is_option else listing.quote,
        "settlement_currency": listing.settle,
        "tick_size": number(listing.tick / FINER if is_option else listing.tick),
        "tick_size_steps": steps,
        "contract_size": number(listing.contract),
        "min_trade_amount": number(listing.lot),
        "is_active": True,
        "state": "open",
        "creation_timestamp": 1_534_167_754_000,
        "expiration_timestamp": listing.expiry_ms or FOREVER_MS,
        **_dated(listing),
    }


def is_asked_for(listing: Listing, currency: str, kind: str | None) -> bool:
    """Tell whether a question for a currency, and maybe a kind, is about this instrument."""
    coins = {listing.base, listing.quote} if listing.kind is Kind.SPOT else {listing.settle}
    return (currency == "any" or currency in coins) and kind in {None, "any", KINDS[listing.kind]}


def _dated(listing: Listing) -> Document:
    match listing.kind:
        case Kind.SPOT:
            return {}
        case Kind.PERPETUAL:
            return {"settlement_period": "perpetual", **_future_type(listing)}
        case Kind.FUTURE:
            return {"settlement_period": "month", **_future_type(listing)}
        case Kind.OPTION:
            strike = number(listing.strike or Decimal(0))
            return {"settlement_period": "month", "strike": strike, "option_type": listing.option_type}


def _future_type(listing: Listing) -> Document:
    return {"future_type": "reversed" if listing.is_inverse else "linear"}
