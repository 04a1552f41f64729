"""What the two Binance venues list unless told otherwise."""

from decimal import Decimal

from components.sandbox.flow.listings import Kind, Listing

DECEMBER_2026_MS = 1_798_185_600_000


def _spot(base: str, quote: str, tick: str, lot: str, price: str) -> Listing:
    return Listing(
        symbol=base + quote, base=base, quote=quote, tick=Decimal(tick), lot=Decimal(lot), price=Decimal(price)
    )


def _future(base: str, quote: str, steps: tuple[str, str], price: str, expiry_ms: int = 0) -> Listing:
    return Listing(
        symbol=f"{base}{quote}_261225" if expiry_ms else base + quote,
        base=base,
        quote=quote,
        settle=quote,
        kind=Kind.FUTURE if expiry_ms else Kind.PERPETUAL,
        tick=Decimal(steps[0]),
        lot=Decimal(steps[1]),
        price=Decimal(price),
        expiry_ms=expiry_ms,
    )


SPOT_LISTINGS = (
    _spot("BTC", "USDT", "0.01", "0.00001", "91000.00"),
    _spot("ETH", "USDT", "0.01", "0.0001", "3000.00"),
    _spot("BNB", "BTC", "0.000001", "0.001", "0.009800"),
    _spot("SOL", "USDC", "0.01", "0.001", "140.00"),
    _spot("1000SATS", "USDT", "0.00000001", "1", "0.00021000"),
)

USD_M_LISTINGS = (
    _future("BTC", "USDT", ("0.10", "0.001"), "91000.00"),
    _future("ETH", "USDT", ("0.01", "0.001"), "3000.00"),
    _future("1000SHIB", "USDT", ("0.000001", "1"), "0.009100"),
    _future("SOL", "USDC", ("0.0100", "0.01"), "140.0000"),
    _future("BTC", "USDT", ("0.1", "0.001"), "91600.0", DECEMBER_2026_MS),
)
