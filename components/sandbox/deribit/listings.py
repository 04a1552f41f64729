"""What the sandbox's Deribit lists unless told otherwise: inverse and linear perpetuals, a future, an option, spot."""

from decimal import Decimal

from components.sandbox.flow.listings import Instrument, InstrumentKind

CHRISTMAS_2026_MS = 1_798_185_600_000  # 25 December 2026, 08:00 UTC, when dated contracts settle
BITCOIN, ETHER, DOGE = Decimal(92_000), Decimal(3_100), Decimal("0.14")

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
        price=BITCOIN,
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
        price=ETHER,
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
        price=DOGE,
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
        price=BITCOIN,
        expiry_ms=CHRISTMAS_2026_MS,
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
        expiry_ms=CHRISTMAS_2026_MS,
        strike=Decimal(80_000),
        option_type="put",
    ),
    # A lot this small is what puts exponents into the frames.
    Instrument(
        symbol="BTC_USDC",
        base="BTC",
        quote="USDC",
        settle="USDC",
        tick=Decimal(1),
        lot=Decimal("0.00001"),
        price=BITCOIN,
    ),
)
