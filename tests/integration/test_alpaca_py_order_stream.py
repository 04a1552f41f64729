"""The vendor's own order stream hears every event once and in order, comes back after a drop, and has one place."""

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
    Updates,
    by_client_id,
    enter,
    listening,
    only,
    running,
    settled,
    submitted,
    trading_client,
    trading_stream,
)
from tests.support.eventually import eventually
from tests.support.sandbox import RunningSandbox, running_sandbox

pytestmark = pytest.mark.integration

QUIET = ("--symbols", "AAPL", "--speed", "0", "--rate-limit-per-minute", "100000")
BACK_WITHIN_S = 15.0  # the client waits half a second to a second before it comes back, and doubles that each time


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running_sandbox(*QUIET) as own:
        yield own


@pytest.fixture
def client(sandbox: RunningSandbox) -> TradingClient:
    return trading_client(sandbox)


def buy(client: TradingClient, client_order_id: str) -> None:
    terms = {"symbol": "AAPL", "qty": 1, "side": OrderSide.BUY, "time_in_force": TimeInForce.DAY}
    submitted(client, MarketOrderRequest(**terms, client_order_id=client_order_id))


def rest(client: TradingClient, client_order_id: str, time_in_force: TimeInForce = TimeInForce.GTC) -> None:
    terms = {"symbol": "AAPL", "qty": 1, "side": OrderSide.BUY, "time_in_force": time_in_force, "limit_price": 10}
    submitted(client, LimitOrderRequest(**terms, client_order_id=client_order_id))


def test_events_come_once_and_in_order(sandbox: RunningSandbox, client: TradingClient) -> None:
    with listening(sandbox) as updates:
        for number in range(20):
            buy(client, str(number))
        eventually(lambda: updates.told("19")[-1:] == ["fill"])
    for number in range(20):
        assert updates.told(str(number)) == ["pending_new", "new", "fill"]
    assert [one.timestamp for one in updates.all] == sorted(one.timestamp for one in updates.all)
    fills = [one for one in updates.all if one.event == "fill"]
    assert [one.position_qty for one in fills] == [number + 1 for number in range(20)]
    named = [one.execution_id for one in updates.all if one.execution_id is not None]
    assert len(named) == len(set(named)) == 40  # one for each `new`, one for each fill


def test_a_dropped_stream_comes_back_and_what_it_missed_is_not_repeated(
    sandbox: RunningSandbox, client: TradingClient
) -> None:
    with listening(sandbox) as updates:
        buy(client, "before")
        eventually(lambda: updates.told("before")[-1:] == ["fill"])
        sandbox.arm("drop_stream")
        eventually(lambda: not sandbox.state()["heard"]["trade_updates"])
        buy(client, "missed")
        settled(client, "missed", "filled")
        eventually(lambda: sandbox.state()["heard"]["trade_updates"], within_s=BACK_WITHIN_S)
        buy(client, "after")
        eventually(lambda: updates.told("after")[-1:] == ["fill"])
    assert updates.told("missed") == []
    assert by_client_id(client, "missed").filled_qty == "1"


def test_there_is_one_place_and_the_next_waits_for_it(sandbox: RunningSandbox, client: TradingClient) -> None:
    second, numbers = Updates(), count()

    def told_of_an_order() -> bool:
        buy(client, f"try {next(numbers)}")
        return bool(second.all)

    with ExitStack() as first:
        first.enter_context(listening(sandbox))
        with pytest.raises(InvalidStatusCode) as refused:
            enter(trading_stream(sandbox, second))
        assert refused.value.status_code == 429
        with running(trading_stream(sandbox, second)):
            assert not told_of_an_order()
            first.close()
            eventually(told_of_an_order, within_s=BACK_WITHIN_S, every_s=0.2)


def test_a_stranger_never_hears_of_an_order(sandbox: RunningSandbox) -> None:
    sandbox.where["secret"] = "wrong"
    with pytest.raises(ValueError, match="failed to authenticate"):
        enter(trading_stream(sandbox, Updates()))
    assert sandbox.state()["heard"]["trade_updates"] is False


def test_the_stream_survives_the_venue(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path), *QUIET) as own, listening(own) as updates:
        rest(trading_client(own), "old")
        eventually(lambda: updates.told("old")[-1:] == ["new"])
        own.kill()
        own.come_back()
        client = trading_client(own)
        eventually(lambda: own.state()["heard"]["trade_updates"], within_s=BACK_WITHIN_S)
        client.cancel_order_by_id(by_client_id(client, "old").id)
        eventually(lambda: updates.told("old") == ["pending_new", "new", "pending_cancel", "canceled"])


def test_an_order_waits_for_the_session_and_ends_with_it() -> None:
    with running_sandbox("--session", "nyse", *QUIET) as own, listening(own) as updates:
        client = trading_client(own)
        if _clock(client).is_open:
            _step_past(own, client, "next_close")
        rest(client, "queued", TimeInForce.DAY)
        eventually(lambda: updates.told("queued") == ["accepted"])
        assert by_client_id(client, "queued").status.value == "accepted"
        _step_past(own, client, "next_open")
        eventually(lambda: updates.told("queued") == ["accepted", "pending_new", "new"])
        _step_past(own, client, "next_close")
        eventually(lambda: updates.told("queued")[-1] == "expired")
        assert by_client_id(client, "queued").expired_at is not None


def test_a_rejection_may_follow_a_yes(sandbox: RunningSandbox, client: TradingClient) -> None:
    sandbox.arm("reject")
    with listening(sandbox) as updates:
        buy(client, "late no")
        eventually(lambda: updates.told("late no") == ["pending_new", "rejected"])
    assert by_client_id(client, "late no").failed_at is not None


def _clock(client: TradingClient) -> Clock:
    return only(client.get_clock(), Clock)


def _step_past(sandbox: RunningSandbox, client: TradingClient, turn: str) -> None:
    clock = _clock(client)
    ahead = getattr(clock, turn) - clock.timestamp
    sandbox.step_clock(int(ahead.total_seconds() * 1000) + 1000)
