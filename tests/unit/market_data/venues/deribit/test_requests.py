"""Requests to Deribit, and the meaning of its replies."""

import json
from typing import Any

import pytest

from components.contracts.errors import UsageError
from components.contracts.values import Symbol
from components.market_data.core.events import DecodeIssue, IssueKind
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import (
    ApiCredentials,
    Authenticated,
    Channel,
    ControlMessage,
    Heartbeat,
    Reply,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    UnsubscribeAck,
)
from components.market_data.venues.deribit.adapter import DeribitAdapter
from components.market_data.venues.deribit.requests import (
    HEARTBEAT_ID,
    LIMITS,
    LOGIN_ID,
    PENDING_REQUESTS_MAX,
    PERMANENT_CODES,
    REFRESH_ID,
    RETRYABLE_CODES,
    TEST_ID,
    DeribitSettings,
)
from components.runtime.config.secrets import Secret

BTC, ETH = Symbol("DERIBIT:BTC-USD-PERP"), Symbol("DERIBIT:ETH-USD-PERP")


KEYS = ApiCredentials(Secret(b"KEY"), Secret(b"SECRET"))


RAW = DeribitSettings(interval="raw")


NAMES = ("book.BTC-PERPETUAL.100ms", "trades.BTC-PERPETUAL.100ms")


SECOND_NS = 1_000_000_000


def row(coin: str) -> dict[str, object]:
    return {
        "instrument_name": f"{coin}-PERPETUAL",
        "kind": "future",
        "instrument_type": "reversed",
        "settlement_period": "perpetual",
        "base_currency": coin,
        "quote_currency": "USD",
        "tick_size": 0.5,
        "min_trade_amount": 10,
    }


def make_adapter(settings: DeribitSettings | None = None, keys: ApiCredentials | None = None) -> DeribitAdapter:
    adapter = DeribitAdapter("wss://venue/ws/api/v2", "https://venue", settings or DeribitSettings(), keys)
    body = json.dumps({"result": [row("BTC"), row("ETH")]}).encode()
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([body])))
    return adapter


def control_of(adapter: DeribitAdapter, at_ns: int = 0, **message: object) -> list[ControlMessage]:
    decoded = adapter.decode(json.dumps({"jsonrpc": "2.0", **message}).encode(), at_ns)
    assert not decoded.data
    return list(decoded.control)


def call_of(text: str) -> tuple[str, int, Any]:
    call = json.loads(text)
    assert call["jsonrpc"] == "2.0"
    return call["method"], call["id"], call["params"]


def test_without_keys_only_heartbeats_are_arranged() -> None:
    adapter = make_adapter()
    assert not adapter.requires_login
    assert [call_of(text) for text in adapter.login_messages()] == [
        ("public/set_heartbeat", HEARTBEAT_ID, {"interval": 30})
    ]


def test_raw_channels_come_after_a_login() -> None:
    adapter = make_adapter(RAW, KEYS)
    login, heartbeat = adapter.login_messages()
    assert adapter.requires_login
    assert call_of(login) == (
        "public/auth",
        LOGIN_ID,
        {"grant_type": "client_credentials", "client_id": "KEY", "client_secret": "SECRET"},
    )
    assert call_of(heartbeat)[0] == "public/set_heartbeat"
    granted = control_of(adapter, id=LOGIN_ID, result={"access_token": "A", "refresh_token": "R", "expires_in": 900})
    assert granted == [Authenticated()]
    assert call_of(adapter.subscribe_message(["book.BTC-PERPETUAL.raw"], 1))[0] == "private/subscribe"
    assert call_of(adapter.unsubscribe_message(["book.BTC-PERPETUAL.raw"], 2))[0] == "private/unsubscribe"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (RAW, "deribit: interval 'raw' needs a key and a secret; without them the fastest is '100ms'"),
        (DeribitSettings(interval="10ms"), "deribit: interval '10ms' is none of raw, 100ms, agg2"),
        (DeribitSettings(heartbeat_s=9), "deribit: heartbeat_s 9 is below 10, the venue's minimum"),
    ],
)
def test_settings_the_venue_cannot_serve_are_rejected_in_one_line(settings: DeribitSettings, error: str) -> None:
    with pytest.raises(ValueError, match=r"^deribit: ") as refused:
        make_adapter(settings)
    assert str(refused.value) == error


def test_a_rejected_login_is_permanent_or_temporary() -> None:
    (refused,) = control_of(
        make_adapter(RAW, KEYS), id=LOGIN_ID, error={"code": 13004, "message": "invalid_credentials"}
    )
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.is_permanent) == ((), True)
    assert "login rejected: 13004 invalid_credentials" in refused.reason


def test_a_login_is_renewed_on_each_connection_before_it_runs_out() -> None:
    adapter = make_adapter(RAW, KEYS)
    control_of(adapter, 0, id=LOGIN_ID, result={"refresh_token": "R1", "expires_in": 900})
    assert len(probed_at(adapter, 299)) == 1
    first, second = probed_at(adapter, 301), probed_at(adapter, 330)
    for controls in (first, second):
        assert isinstance(controls[1], Reply)
        grant = {"grant_type": "refresh_token", "refresh_token": "R1"}
        assert call_of(controls[1].text) == ("public/auth", REFRESH_ID, grant)
    renewed = control_of(adapter, 331 * SECOND_NS, id=REFRESH_ID, result={"refresh_token": "R2", "expires_in": 900})
    assert renewed == [Heartbeat()]
    assert len(probed_at(adapter, 361)) == 1
    (_, again) = probed_at(adapter, 662)
    assert isinstance(again, Reply)
    assert call_of(again.text)[2]["refresh_token"] == "R2"


def test_a_renewal_that_fails_leaves_for_a_new_connection() -> None:
    (leaving,) = control_of(make_adapter(RAW, KEYS), id=REFRESH_ID, error={"code": 13009, "message": "unauthorized"})
    assert isinstance(leaving, ShutdownNotice)


def probed_at(adapter: DeribitAdapter, at_s: int) -> list[ControlMessage]:
    return control_of(adapter, at_s * SECOND_NS, method="heartbeat", params={"type": "test_request"})


def test_a_test_request_is_answered_at_once() -> None:
    (answer,) = probed_at(make_adapter(), 0)
    assert isinstance(answer, Reply)
    assert call_of(answer.text) == ("public/test", TEST_ID, {})
    assert control_of(make_adapter(), method="heartbeat", params={"type": "heartbeat"}) == [Heartbeat()]


@pytest.mark.parametrize("number", [HEARTBEAT_ID, TEST_ID])
def test_replies_to_own_requests_are_heartbeats(number: int) -> None:
    assert control_of(make_adapter(), id=number, result={"version": "1.2.26"}) == [Heartbeat()]


def test_a_subscription_is_confirmed_whatever_the_order_of_the_answer() -> None:
    adapter = make_adapter()
    assert call_of(adapter.subscribe_message(NAMES, 7)) == ("public/subscribe", 7, {"channels": list(NAMES)})
    assert control_of(adapter, id=7, result=list(reversed(NAMES))) == [SubscribeAck(NAMES, 7)]


def test_a_channel_missing_in_the_reply_is_rejected_permanently() -> None:
    adapter = make_adapter()
    adapter.subscribe_message(NAMES, 7)
    confirmed, refused = control_of(adapter, id=7, result=[NAMES[0]])
    assert confirmed == SubscribeAck(NAMES[:1], 7)
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.is_permanent, refused.request_id) == (NAMES[1:], True, 7)
    assert NAMES[1] in refused.reason


def test_an_unsubscribe_is_confirmed_as_such() -> None:
    adapter = make_adapter()
    assert call_of(adapter.unsubscribe_message(NAMES, 8))[0] == "public/unsubscribe"
    assert control_of(adapter, id=8, result=list(NAMES)) == [UnsubscribeAck(NAMES, 8)]


def test_two_connections_may_count_alike() -> None:
    adapter = make_adapter()
    adapter.subscribe_message(["book.BTC-PERPETUAL.100ms"], 1)
    adapter.unsubscribe_message(["book.ETH-PERPETUAL.100ms"], 1)
    assert control_of(adapter, id=1, result=["book.ETH-PERPETUAL.100ms"]) == [
        UnsubscribeAck(("book.ETH-PERPETUAL.100ms",), 1)
    ]
    assert control_of(adapter, id=1, result=["book.BTC-PERPETUAL.100ms"]) == [
        SubscribeAck(("book.BTC-PERPETUAL.100ms",), 1)
    ]


def test_a_request_repeated_on_a_new_connection_is_confirmed_once() -> None:
    adapter = make_adapter()
    for _ in range(2):
        adapter.subscribe_message(NAMES, 1)
    assert control_of(adapter, id=1, result=list(NAMES)) == [SubscribeAck(NAMES, 1)]
    assert control_of(adapter, id=1, result=[NAMES[0]]) == [
        SubscribeAck(NAMES[:1], 1)
    ]  # no request is pending: confirmed as received


def test_requests_that_are_never_answered_are_forgotten() -> None:
    adapter = make_adapter()
    for number in range(PENDING_REQUESTS_MAX + 1):
        adapter.subscribe_message(NAMES, number)
    assert control_of(adapter, id=0, result=[NAMES[0]]) == [SubscribeAck(NAMES[:1], 0)]
    assert len(control_of(adapter, id=1, result=[NAMES[0]])) == 2


@pytest.mark.parametrize("code", [*PERMANENT_CODES, *RETRYABLE_CODES, 99_999])
def test_an_error_rejects_all_topics_of_its_request(code: int) -> None:
    adapter = make_adapter()
    adapter.subscribe_message(NAMES, 7)
    (refused,) = control_of(adapter, id=7, error={"code": code, "message": "words", "data": None})
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.is_permanent, refused.request_id) == (NAMES, code in PERMANENT_CODES, 7)
    assert refused.reason.startswith(f"{code} words: ")


def test_the_other_channels_of_a_rejected_request_may_be_retried() -> None:
    adapter = make_adapter()
    adapter.subscribe_message(NAMES, 7)
    data = {"param": "channels", "reason": f"bad channel {NAMES[1]}"}
    bad, other = control_of(adapter, id=7, error={"code": -32602, "message": "Invalid params", "data": data})
    assert isinstance(bad, SubscribeRejected)
    assert isinstance(other, SubscribeRejected)
    assert (bad.names, bad.is_permanent) == (NAMES[1:], True)
    assert (other.names, other.is_permanent) == (NAMES[:1], False)


@pytest.mark.parametrize("number", [None, 55, TEST_ID])
def test_an_error_without_a_request_is_only_counted(number: int | None) -> None:
    frame = json.dumps({"id": number, "error": {"code": -32700, "message": "Parse error"}}).encode()
    (found,) = make_adapter().decode(frame, 0).data
    assert isinstance(found, DecodeIssue)
    assert found.kind is IssueKind.UNKNOWN


def test_the_topics_of_an_instrument_stay_on_one_connection() -> None:
    settings = DeribitSettings()
    adapter = DeribitAdapter("wss://venue/ws/api/v2", "https://venue", settings)
    rows = [row(f"C{number}") for number in range(200)]
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([json.dumps({"result": rows}).encode()])))
    symbols = [Symbol(f"DERIBIT:C{number}-USD-PERP") for number in range(200)]
    first, second = adapter.plan_connections(symbols)
    assert (len(first.topics), len(second.topics)) == (498, 102)
    assert first.topics[-1].symbol != second.topics[0].symbol
    assert len(first.topics) <= LIMITS.topics_per_connection
    assert (first.name, first.url) == ("connection-1", "wss://venue/ws/api/v2")


def test_what_is_switched_off_is_not_subscribed() -> None:
    (connection,) = make_adapter(DeribitSettings(quotes=False, trades=False)).plan_connections([BTC, ETH])
    assert [(topic.channel, topic.name) for topic in connection.topics] == [
        (Channel.DEPTH, "book.BTC-PERPETUAL.100ms"),
        (Channel.DEPTH, "book.ETH-PERPETUAL.100ms"),
    ]
    (connection,) = make_adapter().plan_connections([BTC])
    assert [topic.name for topic in connection.topics] == [
        "book.BTC-PERPETUAL.100ms",
        "quote.BTC-PERPETUAL",
        "trades.BTC-PERPETUAL.100ms",
    ]


def test_an_unlisted_symbol_cannot_be_planned() -> None:
    with pytest.raises(UsageError, match="DOGE"):
        make_adapter().plan_connections([Symbol("DERIBIT:DOGE-USD-PERP")])


@pytest.mark.parametrize(("status", "final"), [(400, True), (403, True), (404, True), (429, False), (503, False)])
def test_only_client_errors_are_permanent(status: int, final: bool) -> None:
    assert make_adapter().is_permanent_status(status) is final
