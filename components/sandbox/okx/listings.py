"""What the sandbox's OKX lists unless told otherwise: spot, linear and inverse swaps, a dated future, an option."""

from decimal import Decimal

from components.sandbox.flow.listings import Instrument, InstrumentKind

CHRISTMAS_2026_MS = 1_798_185_600_000  # 25 December 2026, 08:00 UTC, when dated contracts settle
BITCOIN, ETHER = Decimal(92_000), Decimal(3_100)

INSTRUMENTS = (
    Instrument(symbol="BTC-USDT", base="BTC", quote="USDT", tick=Decimal("0.1"), lot=Decimal("0.00001"), price=BITCOIN),
    Instrument(symbol="ETH-USDT", base="ETH", quote="USDT", tick=Decimal("0.01"), lot=Decimal("0.000001"), price=ETHER),
    Instrument(
        symbol="BTC-USDT-SWAP",
        base="BTC",
        quote="USDT",
        settle="USDT",
        kind=InstrumentKind.PERPETUAL,
        tick=Decimal("0.1"),
        lot=Decimal("0.01"),
        contract=Decimal("0.01"),
        price=BITCOIN,
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
        price=BITCOIN,
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
        price=BITCOIN,
        expiry_ms=CHRISTMAS_2026_MS,
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
        expiry_ms=CHRISTMAS_2026_MS,
        strike=Decimal(80_000),
        option_type="put",
    ),
)
