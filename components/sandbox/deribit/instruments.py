"""The instruments that the simulated Deribit lists by default, their metadata, and the filter by currency and kind."""

from decimal import Decimal

from components.sandbox.deribit.messages import json_number
from components.sandbox.simulation.instruments import EXPIRY_2026_MS, Instrument, InstrumentKind

KIND_NAMES = {
    InstrumentKind.SPOT: "spot",
    InstrumentKind.PERPETUAL: "future",
    InstrumentKind.FUTURE: "future",
    InstrumentKind.OPTION: "option",
}
CURRENCIES = ("BTC", "ETH", "USDC", "USDT", "EURR", "any")
NO_EXPIRY_MS = 32_503_708_800_000  # the expiry that the venue sends for perpetual contracts
TICK_BAND_PRICE, TICK_DIVISOR = Decimal("0.005"), Decimal(5)  # options have a finer tick below this price
Document = dict[str, object]
BTC_PRICE, ETH_PRICE, DOGE_PRICE = Decimal(92_000), Decimal(3_100), Decimal("0.14")
INSTRUMENTS = (
    Instrument(
        symbol="BTC-PERPETUAL",
        base="BTC",
        quote="USD",
        settle="BTC",
        kind=InstrumentKind.PERPETUAL,
        is_inverse=True,
        tick=Decimal("0.5"),
        lot=Decimal(10),
        contract=Decimal(10),
        price=BTC_PRICE,
    ),
    Instrument(
        symbol="ETH-PERPETUAL",
        base="ETH",
        quote="USD",
        settle="ETH",
        kind=InstrumentKind.PERPETUAL,
        is_inverse=True,
        tick=Decimal("0.05"),
        lot=Decimal(1),
        price=ETH_PRICE,
    ),
    Instrument(
        symbol="DOGE_USDC-PERPETUAL",
        base="DOGE",
        quote="USDC",
        settle="USDC",
        kind=InstrumentKind.PERPETUAL,
        tick=Decimal("0.00001"),
        lot=Decimal(100),
        contract=Decimal(100),
        price=DOGE_PRICE,
    ),
    Instrument(
        symbol="BTC-25DEC26",
        base="BTC",
        quote="USD",
        settle="BTC",
        kind=InstrumentKind.FUTURE,
        is_inverse=True,
        tick=Decimal("2.5"),
        lot=Decimal(10),
        contract=Decimal(10),
        price=BTC_PRICE,
        expiry_ms=EXPIRY_2026_MS,
    ),
    Instrument(
        symbol="BTC-25DEC26-80000-P",
        base="BTC",
        quote="BTC",
        settle="BTC",
        kind=InstrumentKind.OPTION,
        is_inverse=True,
        tick=Decimal("0.0005"),
        lot=Decimal("0.1"),
        price=Decimal("0.25"),
        expiry_ms=EXPIRY_2026_MS,
        strike=Decimal(80_000),
        option_type="put",
    ),
    # A lot this small causes exponents in the frames.
    Instrument(
        symbol="BTC_USDC",
        base="BTC",
        quote="USDC",
        settle="USDC",
        tick=Decimal(1),
        lot=Decimal("0.00001"),
        price=BTC_PRICE,
    ),
)


def encode_instrument(instrument: Instrument, index: int) -> Document:
    """Return the metadata of one instrument."""
    is_option = instrument.kind is InstrumentKind.OPTION
    steps = (
        [{"above_price": json_number(TICK_BAND_PRICE), "tick_size": json_number(instrument.tick)}] if is_option else []
    )
    return {
        "instrument_name": instrument.symbol,
        "instrument_id": 210_000 + index,
        "kind": KIND_NAMES[instrument.kind],
        "instrument_type": "reversed" if instrument.is_inverse else "linear",
        "base_currency": instrument.base,
        "quote_currency": instrument.quote,
        # Options on coins are priced in the coin and counted against dollars.
        "counter_currency": "USD" if is_option else instrument.quote,
        "settlement_currency": instrument.settle,
        "tick_size": json_number(instrument.tick / TICK_DIVISOR if is_option else instrument.tick),
        "tick_size_steps": steps,
        "contract_size": json_number(instrument.contract),
        "min_trade_amount": json_number(instrument.lot),
        "is_active": True,
        "state": "open",
        "creation_timestamp": 1_534_167_754_000,
        "expiration_timestamp": instrument.expiry_ms or NO_EXPIRY_MS,
        **_expiry_fields(instrument),
    }


def matches(instrument: Instrument, currency: str, kind: str | None) -> bool:
    """Return whether a request for a currency, and maybe a kind, includes this instrument."""
    coins = {instrument.base, instrument.quote} if instrument.kind is InstrumentKind.SPOT else {instrument.settle}
    return (currency == "any" or currency in coins) and kind in {None, "any", KIND_NAMES[instrument.kind]}


def _expiry_fields(instrument: Instrument) -> Document:
    match instrument.kind:
        case InstrumentKind.SPOT:
            return {}
        case InstrumentKind.PERPETUAL:
            return {"settlement_period": "perpetual", **_future_type_field(instrument)}
        case InstrumentKind.FUTURE:
            return {"settlement_period": "month", **_future_type_field(instrument)}
        case InstrumentKind.OPTION:
            strike = json_number(instrument.strike or Decimal(0))
            return {"settlement_period": "month", "strike": strike, "option_type": instrument.option_type}


def _future_type_field(instrument: Instrument) -> Document:
    return {"future_type": "reversed" if instrument.is_inverse else "linear"}
