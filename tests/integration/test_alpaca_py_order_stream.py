"""The order stream of the sandbox, tested with Alpaca's own client library: order, reconnects, one connection."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.models import Clock
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest
from websockets.legacy.exceptions import InvalidStatusCode

from tests.support.alpaca_py import (
    TradeUpdateCollector,
    collected_trade_updates,
    connect_once,
    expect_type,
    order_by_client_id,
    running_stream,
    submit_order,
    trading_client,
    trading_stream,
    wait_for_status,
)
from tests.support.eventually import eventually
from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration

QUIET = ("--symbols", "AAPL", "--speed", "0", "--rate-limit-per-minute", "100000")
RECONNECT_TIMEOUT_S = 15.0  # the client reconnects after half a second to a second, doubled each time


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox(*QUIET) as own:
        yield own


@pytest.fixture
def client(sandbox: SandboxProcess) -> TradingClient:
    return trading_client(sandbox)


def buy(client: TradingClient, client_order_id: str) -> None:
    terms = {"symbol": "AAPL", "qty": 1, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY}
    submit_order(client, MarketOrderRequest(**terms, client_order_id=client_order_id))


def rest(client: TradingClient, client_order_id: str, time_in_force: TimeInForce = TimeInForce.GTC) -> None:
    terms = {"symbol": "AAPL", "qty": 1, "side": OrderSide.BUY, "time_in_force": time_in_force, "limit_price": 10}
    submit_order(client, LimitOrderRequest(**terms, client_order_id=client_order_id))


def test_events_arrive_once_and_in_order(sandbox: SandboxProcess, client: TradingClient) -> None:
    with collected_trade_updates(sandbox) as updates:
        for number in range(20):
            buy(client, str(number))
        eventually(lambda: updates.event_names("19")[-1:] == ["fill"])
    for number in range(20):
        assert updates.event_names(str(number)) == ["pending_new", "new", "fill"]
    assert [one.timestamp for one in updates.all] == sorted(one.timestamp for one in updates.all)
    fills = [one for one in updates.all if one.event == "fill"]
    assert [one.position_qty for one in fills] == [number + 1 for number in range(20)]
    named = [one.execution_id for one in updates.all if one.execution_id is not None]
    assert len(named) == len(set(named)) == 40  # one for each `new`, one for each fill


def test_a_dropped_stream_reconnects_and_missed_events_are_not_repeated(
    sandbox: SandboxProcess, client: TradingClient
) -> None:
    with collected_trade_updates(sandbox) as updates:
        buy(client, "before")
        eventually(lambda: updates.event_names("before")[-1:] == ["fill"])
        sandbox.arm("drop_stream")
        eventually(lambda: not sandbox.state()["subscribers"]["trade_updates"])
        buy(client, "missed")
        wait_for_status(client, "missed", "filled")
        eventually(lambda: sandbox.state()["subscribers"]["trade_updates"], within_s=RECONNECT_TIMEOUT_S)
        buy(client, "after")
        eventually(lambda: updates.event_names("after")[-1:] == ["fill"])
    assert updates.event_names("missed") == []
    assert order_by_client_id(client, "missed").filled_qty == "1"


def test_one_connection_is_allowed_and_the_next_waits_for_it(sandbox: SandboxProcess, client: TradingClient) -> None:
    second, numbers = TradeUpdateCollector(), count()

    def order_event_received() -> bool:
        buy(client, f"try {next(numbers)}")
        return bool(second.all)

    with ExitStack() as first:
        first.enter_context(collected_trade_updates(sandbox))
        with pytest.raises(InvalidStatusCode) as rejected:
            connect_once(trading_stream(sandbox, second))
        assert rejected.value.status_code == 429
        with running_stream(trading_stream(sandbox, second)):
            assert not order_event_received()
            first.close()
            eventually(order_event_received, within_s=RECONNECT_TIMEOUT_S, every_s=0.2)


def test_an_unauthenticated_client_receives_no_event(sandbox: SandboxProcess) -> None:
    sandbox.endpoints["secret"] = "wrong"
    with pytest.raises(ValueError, match="failed to authenticate"):
        connect_once(trading_stream(sandbox, TradeUpdateCollector()))
    assert sandbox.state()["subscribers"]["trade_updates"] is False


def test_the_stream_reconnects_after_a_restart(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path), *QUIET) as own, collected_trade_updates(own) as updates:
        rest(trading_client(own), "old")
        eventually(lambda: updates.event_names("old")[-1:] == ["new"])
        own.kill()
        own.restart()
        client = trading_client(own)
        eventually(lambda: own.state()["subscribers"]["trade_updates"], within_s=RECONNECT_TIMEOUT_S)
        client.cancel_order_by_id(order_by_client_id(client, "old").id)
        eventually(lambda: updates.event_names("old") == ["pending_new", "new", "pending_cancel", "canceled"])


def test_a_day_order_waits_for_the_open_and_expires_at_the_close() -> None:
    with running_sandbox("--session", "nyse", *QUIET) as own, collected_trade_updates(own) as updates:
        client = trading_client(own)
        if _clock(client).is_open:
            _advance_past(own, client, "next_close")
        rest(client, "queued", TimeInForce.DAY)
        eventually(lambda: updates.event_names("queued") == ["accepted"])
        assert order_by_client_id(client, "queued").status.value == "accepted"
        _advance_past(own, client, "next_open")
        eventually(lambda: updates.event_names("queued") == ["accepted", "pending_new", "new"])
        _advance_past(own, client, "next_close")
        eventually(lambda: updates.event_names("queued")[-1] == "expired")
        assert order_by_client_id(client, "queued").expired_at is not None


def test_an_accepted_order_can_be_rejected_by_an_event(sandbox: SandboxProcess, client: TradingClient) -> None:
    sandbox.arm("reject")
    with collected_trade_updates(sandbox) as updates:
        buy(client, "late no")
        eventually(lambda: updates.event_names("late no") == ["pending_new", "rejected"])
    assert order_by_client_id(client, "late no").failed_at is not None


def _clock(client: TradingClient) -> Clock:
    return expect_type(client.get_clock(), Clock)


def _advance_past(sandbox: SandboxProcess, client: TradingClient, turn: str) -> None:
    clock = _clock(client)
    ahead = getattr(clock, turn) - clock.timestamp
    sandbox.step_clock(int(ahead.total_seconds() * 1000) + 1000)
