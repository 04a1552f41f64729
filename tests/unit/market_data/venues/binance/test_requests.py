"""Binance's streams are asked for on the route where they flow; a mixture of routes cannot be written."""

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


def planned(dialect: VenueAdapter, count: int = 2) -> tuple[ConnectionPlan, ...]:
    instruments = dialect.decode_instruments([listed(count)])
    dialect.set_instruments(InstrumentRegistry(instruments))
    return dialect.plan_connections(symbols(instruments))


def names(line: ConnectionPlan) -> list[str]:
    return [topic.name for topic in line.topics]


def spot(settings: BinanceSettings | None = None) -> BinanceSpotAdapter:
    return BinanceSpotAdapter("wss://stream.example:9443/", "https://rest.example", settings or BinanceSettings())


def um(settings: BinanceSettings | None = None) -> BinanceFuturesAdapter:
    return BinanceFuturesAdapter("wss://fstream.example", "https://rest.example", settings or BinanceSettings())


def test_the_spot_market_takes_one_line() -> None:
    (line,) = planned(spot(), 1)
    assert (line.name, line.url) == ("spot-1", "wss://stream.example:9443/stream")
    assert names(line) == ["c0usdt@depth@100ms", "c0usdt@bookTicker", "c0usdt@aggTrade"]


def test_usdm_takes_two_lines_and_never_the_url_without_a_route() -> None:
    public, market = planned(um(), 1)
    assert (public.name, public.url) == ("public-1", "wss://fstream.example/public/stream")
    assert names(public) == ["c0usdt@depth@100ms", "c0usdt@bookTicker"]
    assert (market.name, market.url) == ("market-1", "wss://fstream.example/market/stream")
    assert names(market) == ["c0usdt@aggTrade"]


@pytest.mark.parametrize(("quotes", "trades", "count"), list(product([True, False], [True, False], [1, 3, 700])))
def test_no_plan_of_usdm_mixes_routes(quotes: bool, trades: bool, count: int) -> None:
    lines = planned(um(BinanceSettings(quotes=quotes, trades=trades)), count)
    for line in lines:
        (route,) = {FUTURES_ROUTES[topic.channel] for topic in line.topics}
        assert line.url == f"wss://fstream.example{route}/stream"
    assert sum(len(line.topics) for line in lines) == count * (1 + quotes + trades)


def test_no_request_of_usdm_mixes_routes() -> None:
    for write in (um().subscribe_message, um().unsubscribe_message):
        with pytest.raises(InvariantError, match="/market"):
            write(["btcusdt@depth@100ms", "btcusdt@aggTrade"], 1)


@pytest.mark.parametrize("name", ["btcusdt@trade", "btcusdt@depth5", "!bookTicker", "btcusdt", "btcusdt@markPrice"])
def test_no_other_stream_is_ever_asked_for(name: str) -> None:
    for dialect in (spot(), um()):
        with pytest.raises(InvariantError, match="no stream"):
            dialect.subscribe_message([name], 1)


def test_every_channel_has_a_stream_and_a_route() -> None:
    assert set(STREAM_CHANNELS.values()) == set(Channel) == set(FUTURES_ROUTES)


@pytest.mark.parametrize(("speed_ms", "stream"), [(100, "depth@100ms"), (1000, "depth")])
def test_the_pace_of_spot_depth_is_in_its_name(speed_ms: int, stream: str) -> None:
    (line,) = planned(spot(BinanceSettings(depth_speed_ms=speed_ms, quotes=False, trades=False)), 1)
    assert names(line) == [f"c0usdt@{stream}"]


@pytest.mark.parametrize(("speed_ms", "stream"), [(100, "depth@100ms"), (250, "depth"), (500, "depth@500ms")])
def test_the_pace_of_usdm_depth_is_in_its_name(speed_ms: int, stream: str) -> None:
    (line,) = planned(um(BinanceSettings(depth_speed_ms=speed_ms, quotes=False, trades=False)), 1)
    assert names(line) == [f"c0usdt@{stream}"]


@pytest.mark.parametrize("settings", [BinanceSettings(depth_speed_ms=250), BinanceSettings(snapshot_depth=50)])
def test_spot_refuses_what_it_does_not_offer(settings: BinanceSettings) -> None:
    with pytest.raises(ConfigError):
        spot(settings)


@pytest.mark.parametrize("settings", [BinanceSettings(depth_speed_ms=1000), BinanceSettings(snapshot_depth=5000)])
def test_usdm_refuses_what_it_does_not_offer(settings: BinanceSettings) -> None:
    with pytest.raises(ConfigError):
        um(settings)


def test_many_symbols_take_more_lines_and_none_is_torn_apart() -> None:
    lines = planned(spot(), 700)
    assert [len(line.topics) for line in lines] == [1023, 1023, 54]
    assert [line.name for line in lines] == ["spot-1", "spot-2", "spot-3"]
    assert {len(line.topics) % 3 for line in lines} == {0}


def test_a_symbol_that_is_asked_for_twice_is_subscribed_once() -> None:
    dialect = spot()
    instruments = decode_spot_instruments([listed(1)])
    dialect.set_instruments(InstrumentRegistry(instruments))
    (line,) = dialect.plan_connections(symbols(instruments) * 2)
    assert len(line.topics) == 3


def test_a_symbol_that_is_not_listed_is_named() -> None:
    dialect = um()
    dialect.set_instruments(InstrumentRegistry(decode_futures_instruments([listed(1)])))
    with pytest.raises(UsageError, match="BINANCEUM:DOGE-USDT-PERP"):
        dialect.plan_connections([Symbol("BINANCEUM:DOGE-USDT-PERP")])


def test_requests_are_the_venues_own_words() -> None:
    dialect = spot()
    asked = ["a@depth", "a@bookTicker"]
    assert json.loads(dialect.subscribe_message(asked, 7)) == {"method": "SUBSCRIBE", "params": asked, "id": 14}
    assert json.loads(dialect.unsubscribe_message(asked, 7)) == {"method": "UNSUBSCRIBE", "params": asked, "id": 15}
    assert (
        list(dialect.login_messages()),
        dialect.ping_message(),
        dialect.requires_login,
        dialect.pushes_snapshot,
    ) == ([], None, False, False)
