"""Binance's streams are requested on the route that serves them; a request cannot mix routes."""

import json
from itertools import product

import pytest

from components.contracts.errors import ConfigError, InvariantError, UsageError
from components.contracts.values import Symbol
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.venues.adapter import Channel, ConnectionPlan, VenueAdapter
from components.market_data.venues.binance.adapter import BinanceFuturesAdapter, BinanceSpotAdapter
from components.market_data.venues.binance.instruments import decode_futures_instruments, decode_spot_instruments
from components.market_data.venues.binance.requests import FUTURES_ROUTES, STREAM_CHANNELS, BinanceSettings

ROW = {"status": "TRADING", "quoteAsset": "USDT", "contractType": "PERPETUAL", "filters": []}


def listed(count: int) -> bytes:
    rows = [ROW | {"symbol": f"C{number}USDT", "baseAsset": f"C{number}"} for number in range(count)]
    return json.dumps({"symbols": rows}).encode()


def symbols(instruments: list[Instrument]) -> list[Symbol]:
    return [one.symbol for one in instruments]


def planned(adapter: VenueAdapter, count: int = 2) -> tuple[ConnectionPlan, ...]:
    instruments = adapter.decode_instruments([listed(count)])
    adapter.set_instruments(InstrumentRegistry(instruments))
    return adapter.plan_connections(symbols(instruments))


def names(connection: ConnectionPlan) -> list[str]:
    return [topic.name for topic in connection.topics]


def spot(settings: BinanceSettings | None = None) -> BinanceSpotAdapter:
    return BinanceSpotAdapter("wss://stream.example:9443/", "https://rest.example", settings or BinanceSettings())


def um(settings: BinanceSettings | None = None) -> BinanceFuturesAdapter:
    return BinanceFuturesAdapter("wss://fstream.example", "https://rest.example", settings or BinanceSettings())


def test_the_spot_market_needs_one_connection() -> None:
    (connection,) = planned(spot(), 1)
    assert (connection.name, connection.url) == ("spot-1", "wss://stream.example:9443/stream")
    assert names(connection) == ["c0usdt@depth@100ms", "c0usdt@bookTicker", "c0usdt@aggTrade"]


def test_usdm_needs_two_connections_and_never_the_url_without_a_route() -> None:
    public, market = planned(um(), 1)
    assert (public.name, public.url) == ("public-1", "wss://fstream.example/public/stream")
    assert names(public) == ["c0usdt@depth@100ms", "c0usdt@bookTicker"]
    assert (market.name, market.url) == ("market-1", "wss://fstream.example/market/stream")
    assert names(market) == ["c0usdt@aggTrade"]


@pytest.mark.parametrize(("quotes", "trades", "count"), list(product([True, False], [True, False], [1, 3, 700])))
def test_no_plan_of_usdm_mixes_routes(quotes: bool, trades: bool, count: int) -> None:
    connections = planned(um(BinanceSettings(quotes=quotes, trades=trades)), count)
    for connection in connections:
        (route,) = {FUTURES_ROUTES[topic.channel] for topic in connection.topics}
        assert connection.url == f"wss://fstream.example{route}/stream"
    assert sum(len(connection.topics) for connection in connections) == count * (1 + quotes + trades)


def test_no_request_of_usdm_mixes_routes() -> None:
    for encode in (um().subscribe_message, um().unsubscribe_message):
        with pytest.raises(InvariantError, match="/market"):
            encode(["btcusdt@depth@100ms", "btcusdt@aggTrade"], 1)


@pytest.mark.parametrize("name", ["btcusdt@trade", "btcusdt@depth5", "!bookTicker", "btcusdt", "btcusdt@markPrice"])
def test_no_other_stream_can_be_requested(name: str) -> None:
    for adapter in (spot(), um()):
        with pytest.raises(InvariantError, match="no stream"):
            adapter.subscribe_message([name], 1)


def test_every_channel_has_a_stream_and_a_route() -> None:
    assert set(STREAM_CHANNELS.values()) == set(Channel) == set(FUTURES_ROUTES)


@pytest.mark.parametrize(("speed_ms", "stream"), [(100, "depth@100ms"), (1000, "depth")])
def test_the_interval_of_spot_depth_is_in_its_name(speed_ms: int, stream: str) -> None:
    (connection,) = planned(spot(BinanceSettings(depth_speed_ms=speed_ms, quotes=False, trades=False)), 1)
    assert names(connection) == [f"c0usdt@{stream}"]


@pytest.mark.parametrize(("speed_ms", "stream"), [(100, "depth@100ms"), (250, "depth"), (500, "depth@500ms")])
def test_the_interval_of_usdm_depth_is_in_its_name(speed_ms: int, stream: str) -> None:
    (connection,) = planned(um(BinanceSettings(depth_speed_ms=speed_ms, quotes=False, trades=False)), 1)
    assert names(connection) == [f"c0usdt@{stream}"]


@pytest.mark.parametrize("settings", [BinanceSettings(depth_speed_ms=250), BinanceSettings(snapshot_depth=50)])
def test_spot_rejects_settings_it_does_not_offer(settings: BinanceSettings) -> None:
    with pytest.raises(ConfigError):
        spot(settings)


@pytest.mark.parametrize("settings", [BinanceSettings(depth_speed_ms=1000), BinanceSettings(snapshot_depth=5000)])
def test_usdm_rejects_settings_it_does_not_offer(settings: BinanceSettings) -> None:
    with pytest.raises(ConfigError):
        um(settings)


def test_many_symbols_need_more_connections_and_none_is_split() -> None:
    connections = planned(spot(), 700)
    assert [len(connection.topics) for connection in connections] == [1023, 1023, 54]
    assert [connection.name for connection in connections] == ["spot-1", "spot-2", "spot-3"]
    assert {len(connection.topics) % 3 for connection in connections} == {0}


def test_a_symbol_named_twice_is_subscribed_once() -> None:
    adapter = spot()
    instruments = decode_spot_instruments([listed(1)])
    adapter.set_instruments(InstrumentRegistry(instruments))
    (connection,) = adapter.plan_connections(symbols(instruments) * 2)
    assert len(connection.topics) == 3


def test_a_symbol_that_is_not_listed_is_named() -> None:
    adapter = um()
    adapter.set_instruments(InstrumentRegistry(decode_futures_instruments([listed(1)])))
    with pytest.raises(UsageError, match="BINANCEUM:DOGE-USDT-PERP"):
        adapter.plan_connections([Symbol("BINANCEUM:DOGE-USDT-PERP")])


def test_requests_are_encoded_as_the_venue_expects() -> None:
    adapter = spot()
    names_requested = ["a@depth", "a@bookTicker"]
    assert json.loads(adapter.subscribe_message(names_requested, 7)) == {
        "method": "SUBSCRIBE",
        "params": names_requested,
        "id": 14,
    }
    assert json.loads(adapter.unsubscribe_message(names_requested, 7)) == {
        "method": "UNSUBSCRIBE",
        "params": names_requested,
        "id": 15,
    }
    assert (
        list(adapter.login_messages()),
        adapter.ping_message(),
        adapter.requires_login,
        adapter.pushes_snapshot,
    ) == ([], None, False, False)
