"""The vendor's own client, unmodified, trades at the sandbox."""

import asyncio
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.sandbox import RunningSandbox, running_sandbox

with warnings.catch_warnings():
    # The client still imports a deprecated part of `websockets`.
    warnings.simplefilter("ignore", DeprecationWarning)
    from alpaca.common.exceptions import APIError
    from alpaca.data.live import StockDataStream
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, OrderStatus, QueryOrderStatus, TimeInForce
    from alpaca.trading.models import Order, Position, TradeAccount, TradeUpdate
    from alpaca.trading.requests import (
        GetOrdersRequest,
        LimitOrderRequest,
        MarketOrderRequest,
        ReplaceOrderRequest,
        StopLimitOrderRequest,
    )
    from alpaca.trading.stream import TradingStream

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@dataclass
class Streams:
    """What the two streams have said so far."""

    updates: list[TradeUpdate] = field(default_factory=list)
    quotes: list[Any] = field(default_factory=list)

    async def update(self, said: TradeUpdate) -> None:
        self.updates.append(said)

    async def quote(self, said: Any) -> None:
        self.quotes.append(said)

    def told(self, client_order_id: str) -> list[str]:
        return [str(one.event) for one in self.updates if one.order.client_order_id == client_order_id]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox("--symbols", "AAPL,MSFT", "--speed", "4", "--seed", "3") as running:
        yield running


@pytest.fixture(scope="module")
def client(sandbox: RunningSandbox) -> TradingClient:
    where = sandbox.where
    return TradingClient(where["key"], where["secret"], url_override=where["trading_url"])


@pytest.fixture(scope="module")
def streams(sandbox: RunningSandbox) -> Iterator[Streams]:
    where, heard = sandbox.where, Streams()
    trading = TradingStream(where["key"], where["secret"], url_override=where["stream_url"])
    trading.subscribe_trade_updates(heard.update)
    data = StockDataStream(where["key"], where["secret"], url_override=where["data_url"])
    data.subscribe_quotes(heard.quote, "AAPL", "MSFT")
    with _Running(trading), _Running(data):
        eventually(lambda: {"AAPL", "MSFT"} <= {one.symbol for one in heard.quotes})
        eventually(lambda: trading._running)  # noqa: SLF001
        yield heard


class _Running:
    """Run one of the client's streams on a loop of its own for the length of a block."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._live())
        self._loop.close()

    async def _live(self) -> None:
        # Its own `run` can only be stopped from within, and takes seconds to notice.
        task = asyncio.ensure_future(self._stream._run_forever())  # noqa: SLF001
        await self._stopped.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._stream.close()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join()


def test_a_market_order_is_filled_and_told(client: TradingClient, streams: Streams) -> None:
    asked = MarketOrderRequest(
        symbol="AAPL", qty=2, side=OrderSide.BUY, time_in_force=TimeInForce.DAY, client_order_id="market"
    )
    order = client.submit_order(asked)
    assert isinstance(order, Order)
    eventually(lambda: "fill" in streams.told("market"))
    assert streams.told("market")[:2] == ["pending_new", "new"]
    filled = client.get_order_by_client_id("market")
    assert isinstance(filled, Order)
    assert (filled.status, filled.filled_qty, filled.id) == (OrderStatus.FILLED, "2", order.id)
    held = client.get_open_position("AAPL")
    assert isinstance(held, Position)
    assert (held.qty, held.qty_available) == ("2", "2")


def test_a_limit_order_rests_is_replaced_and_cancelled(client: TradingClient, streams: Streams) -> None:
    asked = LimitOrderRequest(
        symbol="MSFT", qty=1, side=OrderSide.BUY, time_in_force=TimeInForce.GTC, limit_price=10, client_order_id="limit"
    )
    order = client.submit_order(asked)
    assert isinstance(order, Order)
    eventually(lambda: "new" in streams.told("limit"))
    new = client.replace_order_by_id(order.id, ReplaceOrderRequest(limit_price=11, client_order_id="replacement"))
    assert isinstance(new, Order)
    assert new.replaces == order.id
    eventually(lambda: "replaced" in streams.told("limit") and "new" in streams.told("replacement"))
    open_orders = client.get_orders(GetOrdersRequest(status=QueryOrderStatus.OPEN))
    assert [one.client_order_id for one in open_orders if isinstance(one, Order)] == ["replacement"]
    client.cancel_order_by_id(new.id)
    eventually(lambda: streams.told("replacement")[-1] == "canceled")


def test_a_repeated_client_id_is_an_api_error(client: TradingClient) -> None:
    asked = StopLimitOrderRequest(
        symbol="AAPL",
        qty=1,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.GTC,
        stop_price=999,
        limit_price=1_000,
        client_order_id="twice",
    )
    client.submit_order(asked)
    with pytest.raises(APIError) as refused:
        client.submit_order(asked)
    assert (refused.value.status_code, refused.value.code) == (422, 40010001)
    assert refused.value.message == "client_order_id must be unique"


def test_account_clock_calendar_and_assets_parse(client: TradingClient) -> None:
    account = client.get_account()
    assert isinstance(account, TradeAccount)
    assert account.shorting_enabled
    assert client.get_clock().is_open  # type: ignore[union-attr]
    assert client.get_calendar()
    assert client.get_asset("AAPL").symbol == "AAPL"  # type: ignore[union-attr]
    assert len(client.get_all_assets()) == 2
    assert client.get_account_configurations().no_shorting is False  # type: ignore[union-attr]


def test_fills_are_activities(client: TradingClient, streams: Streams) -> None:
    eventually(lambda: "fill" in streams.told("market"))
    rows = client.get("/account/activities/FILL", {"direction": "asc"})
    assert isinstance(rows, list)
    last = [row for row in rows if row["symbol"] == "AAPL"][-1]
    assert (last["cum_qty"], last["leaves_qty"], last["order_status"]) == ("2", "0", "filled")


def test_everything_can_be_closed_at_once(client: TradingClient) -> None:
    client.close_all_positions(cancel_orders=True)
    eventually(lambda: client.get_all_positions() == [])
    assert client.get_orders() == []
