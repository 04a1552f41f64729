"""How each crypto venue would write the flow: what it lists, its images and changes, its word for a subscription."""

import json
from collections.abc import Iterable
from typing import Any, Final, Protocol

from typing_extensions import override

from benchmarks.flow import FlowUpdate, SimulatedFlow

FILTERS: Final = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0.10", "maxPrice": "10000000"},
    {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
]
PAIR: Final = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": FILTERS}
PERPETUAL: Final = {"pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000}


Side = Iterable[tuple[int, str]]
Sides = tuple[Side, Side]


class VenueFormat(Protocol):
    """One venue's way to write."""

    config_table: str
    """The venue's table in the configuration."""
    symbol: str

    def instruments(self) -> str:
        """Write what is listed."""

    def reply(self, asked: dict[str, Any]) -> list[str]:
        """Answer a request on the stream."""

    def first_snapshot(self, flow: SimulatedFlow, at_us: int) -> str | None:
        """Write the image that a subscription begins with; None where it is fetched."""

    def snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        """Write the image that is fetched."""

    def update(self, change: FlowUpdate, at_us: int) -> str:
        """Write a change."""


class _Binance:
    """The spot market: ids follow each other, so the flow's are U - 1 and u."""

    config_table, symbol = "binance", "BINANCE:BTC-USDT"

    def instruments(self) -> str:
        return json.dumps({"symbols": [PAIR]})

    def reply(self, asked: dict[str, Any]) -> list[str]:
        return [json.dumps({"result": None, "id": asked["id"]})]

    def first_snapshot(self, flow: SimulatedFlow, at_us: int) -> None:  # noqa: ARG002 -- as a Tongue
        return None

    def snapshot(self, flow: SimulatedFlow, at_us: int) -> str:  # noqa: ARG002 -- as a Tongue
        bids, asks = _best_first(flow)
        return f'{{"lastUpdateId":{flow.last_id},"bids":{_pairs(bids)},"asks":{_pairs(asks)}}}'

    def update(self, change: FlowUpdate, at_us: int) -> str:
        ids = f'"U":{change.prev_id + 1},"u":{change.last_id}'
        sides = f'"b":{_pairs(change.bids.items())},"a":{_pairs(change.asks.items())}'
        head = f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{at_us},"s":"BTCUSDT"'
        return f"{head},{ids},{sides}}}}}"


class _BinanceUm(_Binance):
    """USD-M futures."""

    config_table, symbol = "binanceum", "BINANCEUM:BTC-USDT-PERP"

    @override
    def instruments(self) -> str:
        return json.dumps({"symbols": [PAIR | PERPETUAL | {"marginAsset": "USDT"}]})

    @override
    def update(self, change: FlowUpdate, at_us: int) -> str:
        ids = f'"U":{change.prev_id + 1},"u":{change.last_id},"pu":{change.prev_id}'
        sides = f'"b":{_pairs(change.bids.items())},"a":{_pairs(change.asks.items())}'
        head = f'{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":{at_us},"T":{at_us},"s":"BTCUSDT"'
        return f"{head},{ids},{sides}}}}}"


class _Okx:
    """OKX; its times are in milliseconds."""

    config_table, symbol = "okx", "OKX:BTC-USDT"

    def instruments(self) -> str:
        names = {"instType": "SPOT", "instId": "BTC-USDT", "baseCcy": "BTC", "quoteCcy": "USDT", "state": "live"}
        return json.dumps({"code": "0", "data": [names | {"tickSz": "0.1", "lotSz": "0.001", "minSz": "0.001"}]})

    def reply(self, asked: dict[str, Any]) -> list[str]:
        said = {"event": asked["op"], "connId": "b", **({"id": asked["id"]} if "id" in asked else {})}
        return [json.dumps(said | {"arg": topic}) for topic in asked["args"]]

    def first_snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        bids, asks = _best_first(flow)
        return self._frame("snapshot", (bids, asks), -1, flow.last_id, at_us)

    def snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        bids, asks = _best_first(flow)
        row = f'{{"asks":{_fours(asks)},"bids":{_fours(bids)},"ts":"{at_us // 1_000}","seqId":{flow.last_id}}}'
        return f'{{"code":"0","msg":"","data":[{row}]}}'

    def update(self, change: FlowUpdate, at_us: int) -> str:
        return self._frame("update", (change.bids.items(), change.asks.items()), change.prev_id, change.last_id, at_us)

    def _frame(self, action: str, sides: Sides, previous: int, final: int, at_us: int) -> str:
        head = f'{{"arg":{{"channel":"books","instId":"BTC-USDT"}},"action":"{action}"'
        ids = f'"ts":"{at_us // 1_000}","checksum":0,"prevSeqId":{previous},"seqId":{final}'
        return f'{head},"data":[{{"asks":{_fours(sides[1])},"bids":{_fours(sides[0])},{ids}}}]}}'


class _Deribit:
    """Deribit, its perpetual future; its times are in milliseconds."""

    config_table, symbol = "deribit", "DERIBIT:BTC-USD-PERP"
    _native = "BTC-PERPETUAL"

    def instruments(self) -> str:
        names = {"instrument_name": self._native, "kind": "future", "settlement_period": "perpetual"}
        money = {"base_currency": "BTC", "quote_currency": "USD", "counter_currency": "USD", "is_active": True}
        steps = {"settlement_currency": "BTC", "tick_size": 0.1, "contract_size": 10.0, "min_trade_amount": 10.0}
        return json.dumps({"jsonrpc": "2.0", "result": [names | money | steps | {"instrument_type": "reversed"}]})

    def reply(self, asked: dict[str, Any]) -> list[str]:
        result = asked["params"]["channels"] if asked["method"].endswith("subscribe") else "ok"
        return [json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result})]

    def first_snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        bids, asks = _best_first(flow)
        return self._frame("snapshot", (bids, asks), f'"change_id":{flow.last_id}', at_us)

    def snapshot(self, flow: SimulatedFlow, at_us: int) -> str:
        bids, asks = (_numbers(side) for side in _best_first(flow))
        head = f'"timestamp":{at_us // 1_000},"instrument_name":"{self._native}","change_id":{flow.last_id}'
        return f'{{"jsonrpc":"2.0","result":{{{head},"bids":{bids},"asks":{asks}}}}}'

    def update(self, change: FlowUpdate, at_us: int) -> str:
        ids = f'"prev_change_id":{change.prev_id},"change_id":{change.last_id}'
        return self._frame("change", (change.bids.items(), change.asks.items()), ids, at_us)

    def _frame(self, kind: str, sides: Sides, ids: str, at_us: int) -> str:
        head = '{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.BTC-PERPETUAL.100ms","data":{'
        names = f'"type":"{kind}","timestamp":{at_us // 1_000},"instrument_name":"{self._native}"'
        return f'{head}{names},{ids},"bids":{_actions(sides[0])},"asks":{_actions(sides[1])}}}}}}}'


VENUE_FORMATS: Final[dict[str, VenueFormat]] = {
    one.config_table: one for one in (_Binance(), _BinanceUm(), _Okx(), _Deribit())
}
"""By the venue's table in the configuration."""


def _best_first(flow: SimulatedFlow) -> Sides:
    return sorted(flow.bids.items(), reverse=True), sorted(flow.asks.items())


def _price(ticks: int) -> str:
    return f"{ticks // 10}.{ticks % 10}"


def _pairs(levels: Side) -> str:
    return "[" + ",".join([f'["{ticks // 10}.{ticks % 10}0","{size}"]' for ticks, size in levels]) + "]"


def _fours(levels: Side) -> str:
    return "[" + ",".join([f'["{ticks // 10}.{ticks % 10}","{size}","0","3"]' for ticks, size in levels]) + "]"


def _numbers(levels: Side) -> str:
    return "[" + ",".join([f"[{_price(ticks)},{float(size)}]" for ticks, size in levels]) + "]"


def _actions(levels: Side) -> str:
    return "[" + ",".join([_action(ticks, size) for ticks, size in levels]) + "]"


def _action(ticks: int, size: str) -> str:
    return f'["delete",{_price(ticks)},0.0]' if size == "0" else f'["change",{_price(ticks)},{float(size)}]'
