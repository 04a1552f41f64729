"""Requests to Alpaca's crypto stream, and the meaning of its replies."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from components.contracts.errors import ProtocolError, UsageError
from components.contracts.values import Symbol
from components.market_data.core.instruments import InstrumentRegistry, InstrumentType
from components.market_data.venues.adapter import (
    ApiCredentials,
    Authenticated,
    Channel,
    ControlMessage,
    Heartbeat,
    SubscribeAck,
    SubscribeRejected,
    UnsubscribeAck,
)
from components.market_data.venues.alpaca.adapter import AlpacaCryptoAdapter
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.alpaca.messages import PERMANENT_CODES, RETRYABLE_CODES
from components.market_data.venues.alpaca.requests import REQUEST_ERROR_CODES
from components.runtime.config.secrets import Secret

BTC = Symbol("ALPACA:BTC-USD")


NAMES = ("orderbooks:BTC/USD", "trades:BTC/USD", "orderbooks:ETH/USD")


def make_adapter(**choices: Any) -> AlpacaCryptoAdapter:
    credentials = ApiCredentials(Secret(b"KEY"), Secret(b"SECRET"))
    adapter = AlpacaCryptoAdapter(
        "ws://venue/v1beta3/crypto/us", "http://venue", CryptoSettings(**choices), credentials
    )
    body = json.dumps({"orderbooks": {"BTC/USD": {}, "ETH/USD": {}, "ODD": {}}}).encode()
    adapter.set_instruments(InstrumentRegistry(adapter.decode_instruments([body])))
    return adapter


def control_of(adapter: AlpacaCryptoAdapter, **message: object) -> Sequence[ControlMessage]:
    decoded = adapter.decode(json.dumps([message]).encode(), 0)
    assert not decoded.data
    return list(decoded.control)


def subscription_reply(adapter: AlpacaCryptoAdapter, **channels: list[str]) -> Sequence[ControlMessage]:
    empty: dict[str, list[str]] = {"trades": [], "quotes": [], "orderbooks": [], "bars": []}
    return control_of(adapter, T="subscription", **{**empty, **channels})


def test_the_login_comes_first_and_is_confirmed() -> None:
    adapter = make_adapter()
    (login,) = adapter.login_messages()
    assert adapter.requires_login
    assert json.loads(login) == {"action": "auth", "key": "KEY", "secret": "SECRET"}
    assert control_of(adapter, T="success", msg="connected") == [Heartbeat()]
    assert control_of(adapter, T="success", msg="authenticated") == [Authenticated()]


def test_both_handshake_replies_may_come_in_one_frame() -> None:
    messages = [{"T": "success", "msg": "connected"}, {"T": "success", "msg": "authenticated"}]
    assert make_adapter().decode(json.dumps(messages).encode(), 0).control == [Heartbeat(), Authenticated()]


def test_a_subscription_is_confirmed_by_the_complete_set() -> None:
    adapter = make_adapter()
    request = {"action": "subscribe", "orderbooks": ["BTC/USD", "ETH/USD"], "trades": ["BTC/USD"]}
    assert json.loads(adapter.subscribe_message(NAMES, 3)) == request
    assert subscription_reply(adapter, orderbooks=["ETH/USD", "BTC/USD"], trades=["BTC/USD"]) == [
        SubscribeAck(NAMES, 3)
    ]


def test_topics_missing_in_the_set_are_rejected_permanently() -> None:
    adapter = make_adapter()
    adapter.subscribe_message(NAMES, 3)
    confirmed, refused = subscription_reply(adapter, orderbooks=["BTC/USD"], trades=["BTC/USD"])
    assert confirmed == SubscribeAck(NAMES[:2], 3)
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.is_permanent, refused.request_id) == (NAMES[2:], True, 3)


def test_replies_match_requests_in_order() -> None:
    adapter = make_adapter()
    adapter.subscribe_message(NAMES[:1], 3)
    adapter.unsubscribe_message(NAMES[:1], 4)
    adapter.subscribe_message(NAMES[:1], 5)
    assert subscription_reply(adapter, orderbooks=["BTC/USD"]) == [SubscribeAck(NAMES[:1], 3)]
    assert subscription_reply(adapter) == [UnsubscribeAck(NAMES[:1], 4)]
    assert subscription_reply(adapter, orderbooks=["BTC/USD"]) == [SubscribeAck(NAMES[:1], 5)]
    assert subscription_reply(adapter, orderbooks=["BTC/USD"]) == [
        SubscribeAck(NAMES[:1])
    ]  # no request is pending: confirmed as received


def test_a_new_connection_drops_the_pending_requests_of_the_last() -> None:
    adapter = make_adapter()
    adapter.subscribe_message(NAMES, 3)
    adapter.login_messages()
    adapter.subscribe_message(NAMES[:1], 4)
    assert subscription_reply(adapter, orderbooks=["BTC/USD"]) == [SubscribeAck(NAMES[:1], 4)]


@pytest.mark.parametrize("code", sorted({*PERMANENT_CODES, *RETRYABLE_CODES, 999} - {403}))
def test_an_error_is_about_the_request_or_about_the_connection(code: int) -> None:
    adapter = make_adapter()
    adapter.subscribe_message(NAMES, 3)
    (refused,) = control_of(adapter, T="error", code=code, msg="words")
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.request_id) == ((NAMES, 3) if code in REQUEST_ERROR_CODES else ((), None))
    assert refused.is_permanent is (code in PERMANENT_CODES)
    assert refused.reason.startswith(f"{code} words")


def test_a_rejection_without_a_pending_request_names_no_topics() -> None:
    (refused,) = control_of(make_adapter(), T="error", code=400, msg="invalid syntax")
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.request_id) == ((), None)


def test_a_repeated_login_confirmation_is_harmless() -> None:
    assert control_of(make_adapter(), T="error", code=403, msg="already authenticated") == [Heartbeat()]


def test_all_topics_share_one_connection() -> None:
    (connection,) = make_adapter().plan_connections([BTC])
    assert connection.url == "ws://venue/v1beta3/crypto/us"
    assert [(topic.channel, topic.symbol, topic.name) for topic in connection.topics] == [
        (Channel.DEPTH, BTC, "orderbooks:BTC/USD"),
        (Channel.QUOTES, BTC, "quotes:BTC/USD"),
        (Channel.TRADES, BTC, "trades:BTC/USD"),
    ]
    assert make_adapter().plan_connections([]) == ()


def test_what_is_switched_off_is_not_subscribed() -> None:
    (connection,) = make_adapter(quotes=False, trades=False).plan_connections([BTC])
    assert [topic.name for topic in connection.topics] == ["orderbooks:BTC/USD"]


def test_instruments_are_found_by_both_names() -> None:
    adapter = make_adapter()
    (request,) = adapter.instrument_requests()
    assert request.path == "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC%2FUSD%2CETH%2FUSD"
    found = InstrumentRegistry(adapter.decode_instruments([b'{"orderbooks":{"BTC/USD":{},"ODD":{},"LINK/USDT":{}}}']))
    assert [(one.symbol, one.venue_symbol) for one in found] == [
        ("ALPACA:BTC-USD", "BTC/USD"),
        ("ALPACA:LINK-USDT", "LINK/USDT"),
    ]
    bitcoin = found.require(BTC)
    assert (bitcoin.instrument_type, bitcoin.base, bitcoin.quote, bitcoin.is_inverse) == (
        InstrumentType.SPOT,
        "BTC",
        "USD",
        False,
    )
    with pytest.raises(UsageError):
        adapter.plan_connections([Symbol("ALPACA:DOGE-USD")])


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>"])
def test_a_response_without_pairs_is_rejected(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        make_adapter().decode_instruments([body])


@pytest.mark.parametrize(("status", "final"), [(401, True), (404, True), (429, False), (500, False)])
def test_only_client_errors_are_permanent(status: int, final: bool) -> None:
    assert make_adapter().is_permanent_status(status) is final
    assert make_adapter().ping_message() is None  # type: ignore[func-returns-value]
