"""Frames of OKX as the venue writes them, and an adapter that knows some of its instruments."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.okx.adapter import OkxAdapter
from components.market_data.venues.okx.requests import OkxSettings

AT_MS = 1_767_225_600_000
AT_NS = AT_MS * 1_000_000
Pair = tuple[str, ...]
SPOT = {
    "instId": "BTC-USDT",
    "instType": "SPOT",
    "baseCcy": "BTC",
    "quoteCcy": "USDT",
    "tickSz": "0.1",
    "lotSz": "0.00000001",
    "minSz": "0.00001",
    "state": "live",
}
CONTRACT = {"instType": "SWAP", "tickSz": "0.1", "lotSz": "0.01", "minSz": "0.01", "state": "live", "expTime": ""}
LINEAR = {
    **CONTRACT,
    "instId": "BTC-USDT-SWAP",
    "instFamily": "BTC-USDT",
    "uly": "BTC-USDT",
    "settleCcy": "USDT",
    "ctType": "linear",
    "ctVal": "0.01",
    "ctMult": "1",
    "ctValCcy": "BTC",
}
INVERSE = {
    **CONTRACT,
    "instId": "BTC-USD-SWAP",
    "instFamily": "BTC-USD",
    "uly": "BTC-USD",
    "settleCcy": "BTC",
    "ctType": "inverse",
    "ctVal": "100",
    "ctMult": "1",
    "ctValCcy": "USD",
}
CHRISTMAS_MS = "1798185600000"
FUTURE = {**INVERSE, "instId": "BTC-USD-261225", "instType": "FUTURES", "expTime": CHRISTMAS_MS}
OPTION = {
    **INVERSE,
    "instId": "BTC-USD-261225-80000-P",
    "instType": "OPTION",
    "ctType": "",
    "ctVal": "0.1",
    "ctMult": "0.1",
    "ctValCcy": "BTC",
    "expTime": CHRISTMAS_MS,
    "stk": "80000",
    "optType": "P",
}
USD_MARGINED = {**LINEAR, "instId": "BTC-USD_UM-SWAP", "instFamily": "BTC-USD_UM", "uly": "BTC-USD"}
ROWS = (SPOT, LINEAR, INVERSE, FUTURE, OPTION, USD_MARGINED)


def okx_adapter(rows: Iterable[object] = ROWS, **settings: Any) -> OkxAdapter:
    """Return an adapter with these instruments."""
    made = OkxAdapter("wss://okx.test/ws/v5/public", "https://okx.test", OkxSettings(**settings))
    made.set_instruments(InstrumentRegistry(made.decode_instruments([rest_response(rows)])))
    return made


def rest_response(rows: Iterable[object], code: str = "0", message: str = "") -> bytes:
    """Return the body of a REST response."""
    return msgspec.json.encode({"code": code, "msg": message, "data": list(rows)})


def depth_row(
    ids: tuple[int, int] | None = None, bids: Sequence[Pair] = (), asks: Sequence[Pair] = (), **more: Any
) -> dict[str, Any]:
    """Return a book, or an update of one, with its pair of ids."""
    levels = {"asks": [_level(one) for one in asks], "bids": [_level(one) for one in bids], "ts": str(AT_MS)}
    chained = {} if ids is None else {"prevSeqId": ids[0], "seqId": ids[1]}
    return {**levels, "checksum": 0, **chained, **more}


def data_frame(channel: str, *rows: object, action: str = "", native: str = "BTC-USDT") -> bytes:
    """Return a data frame."""
    named = {"action": action} if action else {}
    return msgspec.json.encode({"arg": {"channel": channel, "instId": native}, **named, "data": list(rows)})


def snapshot(*rows: object, channel: str = "books", native: str = "BTC-USDT") -> bytes:
    """Return a snapshot frame of a sequenced channel."""
    return data_frame(channel, *rows, action="snapshot", native=native)


def update(*rows: object, channel: str = "books", native: str = "BTC-USDT") -> bytes:
    """Return an update frame."""
    return data_frame(channel, *rows, action="update", native=native)


def trade_row(trade_id: int, *, at_ms: int = AT_MS, price: str = "90000", size: str = "0.5", count: int = 1) -> Any:
    """Return a trade."""
    fields = {"instId": "BTC-USDT", "tradeId": str(trade_id), "px": price, "sz": size, "side": "buy"}
    return {**fields, "ts": str(at_ms), "count": str(count), "source": "0", "seqId": 1234}


def event_frame(event: str, **more: Any) -> bytes:
    """Return a frame that is an event, not data."""
    return msgspec.json.encode({"event": event, **more, "connId": "a4d3ae55"})


def _level(pair: Pair) -> Pair:
    return (*pair, "0", "1") if len(pair) == 2 else pair
