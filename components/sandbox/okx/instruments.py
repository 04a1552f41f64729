"""The instruments that the simulated OKX lists by default, and their metadata as OKX writes it.

Fields that do not apply are empty texts.
"""

from decimal import Decimal

from components.sandbox.numerics import format_decimal
from components.sandbox.simulation.instruments import EXPIRY_2026_MS, Instrument, InstrumentKind

TYPE_NAMES = {
    InstrumentKind.SPOT: "SPOT",
    InstrumentKind.PERPETUAL: "SWAP",
    InstrumentKind.FUTURE: "FUTURES",
    InstrumentKind.OPTION: "OPTION",
}
# The contract size of an option is split into two factors: a client that ignores the second is off by ten.
OPTION_MULTIPLIER = Decimal("0.1")
BTC_PRICE, ETH_PRICE = Decimal(92_000), Decimal(3_100)
INSTRUMENTS = (
    Instrument(
        symbol="BTC-USDT", base="BTC", quote="USDT", tick=Decimal("0.1"), lot=Decimal("0.00001"), price=BTC_PRICE
    ),
    Instrument(
        symbol="ETH-USDT", base="ETH", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.000001"), price=ETH_PRICE
    ),
    Instrument(
        symbol="BTC-USDT-SWAP",
        base="BTC",
        quote="USDT",
        settle="USDT",
        kind=InstrumentKind.PERPETUAL,
        tick=Decimal("0.1"),
        lot=Decimal("0.01"),
        contract=Decimal("0.01"),
        price=BTC_PRICE,
    ),
    Instrument(
        symbol="BTC-USD-SWAP",
        base="BTC",
        quote="USD",
        settle="BTC",
        kind=InstrumentKind.PERPETUAL,
        is_inverse=True,
        tick=Decimal("0.1"),
        lot=Decimal(1),
        contract=Decimal(100),
        price=BTC_PRICE,
    ),
    Instrument(
        symbol="BTC-USD-261225",
        base="BTC",
        quote="USD",
        settle="BTC",
        kind=InstrumentKind.FUTURE,
        is_inverse=True,
        tick=Decimal("0.1"),
        lot=Decimal(1),
        contract=Decimal(100),
        price=BTC_PRICE,
        expiry_ms=EXPIRY_2026_MS,
    ),
    Instrument(
        symbol="BTC-USD-261225-80000-P",
        base="BTC",
        quote="USD",
        settle="BTC",
        kind=InstrumentKind.OPTION,
        is_inverse=True,
        tick=Decimal("0.0005"),
        lot=Decimal(1),
        contract=Decimal("0.01"),
        price=Decimal("0.25"),
        expiry_ms=EXPIRY_2026_MS,
        strike=Decimal(80_000),
        option_type="put",
    ),
)


def encode_instrument(instrument: Instrument) -> dict[str, str]:
    """Return the metadata of one instrument."""
    return {
        "instId": instrument.symbol,
        "instType": TYPE_NAMES[instrument.kind],
        "state": "live",
        "tickSz": format_decimal(instrument.tick),
        "lotSz": format_decimal(instrument.lot),
        "minSz": format_decimal(instrument.lot),
        "alias": "",
        "category": "1",
        "lever": "10",
        "listTime": "1548133413000",
        **(_spot(instrument) if instrument.kind is InstrumentKind.SPOT else _contract(instrument)),
        **(_option(instrument) if instrument.kind is InstrumentKind.OPTION else {"optType": "", "stk": ""}),
    }


def family(instrument: Instrument) -> str:
    """Return the family of a contract; empty for spot."""
    return "" if instrument.kind is InstrumentKind.SPOT else f"{instrument.base}-{instrument.quote}"


def _spot(instrument: Instrument) -> dict[str, str]:
    unused = dict.fromkeys(("uly", "instFamily", "settleCcy", "ctType", "ctVal", "ctMult", "ctValCcy", "expTime"), "")
    return {**unused, "baseCcy": instrument.base, "quoteCcy": instrument.quote}


def _contract(instrument: Instrument) -> dict[str, str]:
    is_option = instrument.kind is InstrumentKind.OPTION
    multiplier = OPTION_MULTIPLIER if is_option else Decimal(1)
    return {
        "baseCcy": "",
        "quoteCcy": "",
        "uly": family(instrument),
        "instFamily": family(instrument),
        "settleCcy": instrument.settle,
        "ctType": "" if is_option else ("inverse" if instrument.is_inverse else "linear"),
        "ctVal": format_decimal(instrument.contract / multiplier),
        "ctMult": format_decimal(multiplier),
        # An inverse contract counts dollars, except an option, which counts coins.
        "ctValCcy": instrument.quote if instrument.is_inverse and not is_option else instrument.base,
        "expTime": str(instrument.expiry_ms or ""),
    }


def _option(instrument: Instrument) -> dict[str, str]:
    return {
        "optType": "P" if instrument.option_type == "put" else "C",
        "stk": format_decimal(instrument.strike or Decimal(0)),
    }
