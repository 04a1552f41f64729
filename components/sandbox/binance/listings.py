"""What the two Binance venues list unless told otherwise."""

from decimal import Decimal

from components.sandbox.flow.listings import Instrument, InstrumentKind

DECEMBER_2026_MS = 1_798_185_600_000


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
    _futures_instrument("BTC", "USDT", ("0.1", "0.001"), "91600.0", DECEMBER_2026_MS),
)
