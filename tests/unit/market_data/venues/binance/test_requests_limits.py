"""The weights of Binance's requests, and which of its errors are permanent."""

import json

import pytest

from components.contracts.errors import InvariantError
from components.contracts.values import Symbol
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import Limits, RestRequest
from components.market_data.venues.binance.adapter import BinanceFuturesAdapter, BinanceSpotAdapter
from components.market_data.venues.binance.requests import (
    FUTURES_LIMITS,
    FUTURES_SNAPSHOT_WEIGHTS,
    SPOT_LIMITS,
    SPOT_SNAPSHOT_WEIGHTS,
    BinanceSettings,
    is_permanent_code,
    is_permanent_status,
    snapshot_weight,
)

ROW = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "contractType": "PERPETUAL"}


LISTING = json.dumps({"symbols": [ROW]}).encode()


@pytest.mark.parametrize(
    ("depth", "weight"), [(100, 5), (101, 25), (500, 25), (501, 50), (1000, 50), (1001, 250), (5000, 250)]
)
def test_a_deeper_spot_snapshot_weighs_more(depth: int, weight: int) -> None:
    adapter = BinanceSpotAdapter("wss://s", "https://r", BinanceSettings(snapshot_depth=depth))
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([LISTING])))
    path = f"/api/v3/depth?symbol=BTCUSDT&limit={depth}"
    assert adapter.snapshot_request(Symbol("BINANCE:BTC-USDT")) == RestRequest(path=path, weight=weight)


@pytest.mark.parametrize(("depth", "weight"), [(5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1000, 20)])
def test_a_deeper_usdm_snapshot_weighs_more(depth: int, weight: int) -> None:
    adapter = BinanceFuturesAdapter("wss://s", "https://r", BinanceSettings(snapshot_depth=depth))
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([LISTING])))
    path = f"/fapi/v1/depth?symbol=BTCUSDT&limit={depth}"
    assert adapter.snapshot_request(Symbol("BINANCEUM:BTC-USDT-PERP")) == RestRequest(path=path, weight=weight)


@pytest.mark.parametrize("weights", [SPOT_SNAPSHOT_WEIGHTS, FUTURES_SNAPSHOT_WEIGHTS])
def test_a_depth_beyond_all_snapshots_has_no_weight(weights: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(InvariantError):
        snapshot_weight(weights, 5001)


@pytest.mark.parametrize(("limits", "minute", "sends"), [(SPOT_LIMITS, 6000, 5), (FUTURES_LIMITS, 2400, 10)])
def test_the_limits_stay_below_those_of_the_venue(limits: Limits, minute: int, sends: int) -> None:
    assert limits.requests_burst + 60 * limits.requests_per_second <= minute
    assert limits.sends_per_second < sends
    assert (limits.connects_per_second, limits.topics_per_connection) == (1, 1024)


def test_the_metadata_request_carries_its_weight() -> None:
    settings = BinanceSettings()
    requests = [
        kind("wss://s", "https://r", settings).instrument_requests()
        for kind in (BinanceSpotAdapter, BinanceFuturesAdapter)
    ]
    assert requests == [
        (RestRequest(path="/api/v3/exchangeInfo", weight=20),),
        (RestRequest(path="/fapi/v1/exchangeInfo", weight=1),),
    ]


@pytest.mark.parametrize(
    ("code", "permanent"),
    [(0, True), (1, True), (2, True), (3, True), (-1121, True), (-1100, True), (-1003, False), (-1001, False)],
)
def test_every_documented_code_is_permanent_or_temporary(code: int, permanent: bool) -> None:
    assert is_permanent_code(code) is permanent


@pytest.mark.parametrize(
    ("status", "final"), [(400, True), (404, True), (451, True), (403, False), (418, False), (429, False), (503, False)]
)
def test_a_status_is_permanent_or_temporary(status: int, final: bool) -> None:
    assert is_permanent_status(status) is final
    assert BinanceSpotAdapter("wss://s", "https://r", BinanceSettings()).is_permanent_status(status) is final
