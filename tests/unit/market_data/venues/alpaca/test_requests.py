"""What is said to Alpaca's crypto stream, and what its answers mean."""

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


def a_dialect(**choices: Any) -> AlpacaCryptoAdapter:
    keys = ApiCredentials(Secret(b"KEY"), Secret(b"SECRET"))
    dialect = AlpacaCryptoAdapter("ws://venue/v1beta3/crypto/us", "http://venue", CryptoSettings(**choices), keys)
    body = json.dumps({"orderbooks": {"BTC/USD": {}, "ETH/USD": {}, "ODD": {}}}).encode()
    dialect.set_instruments(InstrumentRegistry(dialect.decode_instruments([body])))
    return dialect


def heard(dialect: AlpacaCryptoAdapter, **message: object) -> Sequence[ControlMessage]:
    read = dialect.decode(json.dumps([message]).encode(), 0)
    assert not read.data
    return list(read.control)


def stands(dialect: AlpacaCryptoAdapter, **channels: list[str]) -> Sequence[ControlMessage]:
    empty: dict[str, list[str]] = {"trades": [], "quotes": [], "orderbooks": [], "bars": []}
    return heard(dialect, T="subscription", **{**empty, **channels})


def test_keys_come_first_and_then_the_greeting() -> None:
    dialect = a_dialect()
    (hello,) = dialect.login_messages()
    assert dialect.requires_login
    assert json.loads(hello) == {"action": "auth", "key": "KEY", "secret": "SECRET"}
    assert heard(dialect, T="success", msg="connected") == [Heartbeat()]
    assert heard(dialect, T="success", msg="authenticated") == [Authenticated()]


def test_both_greetings_may_stand_in_one_frame() -> None:
    words = [{"T": "success", "msg": "connected"}, {"T": "success", "msg": "authenticated"}]
    assert a_dialect().decode(json.dumps(words).encode(), 0).control == [Heartbeat(), Authenticated()]


def test_a_subscription_is_confirmed_by_the_whole_set() -> None:
    dialect = a_dialect()
    asked = {"action": "subscribe", "orderbooks": ["BTC/USD", "ETH/USD"], "trades": ["BTC/USD"]}
    assert json.loads(dialect.subscribe_message(NAMES, 3)) == asked
    assert stands(dialect, orderbooks=["ETH/USD", "BTC/USD"], trades=["BTC/USD"]) == [SubscribeAck(NAMES, 3)]


def test_what_the_set_lacks_is_refused_for_good() -> None:
    dialect = a_dialect()
    dialect.subscribe_message(NAMES, 3)
    confirmed, refused = stands(dialect, orderbooks=["BTC/USD"], trades=["BTC/USD"])
    assert confirmed == SubscribeAck(NAMES[:2], 3)
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.is_permanent, refused.request_id) == (NAMES[2:], True, 3)


def test_answers_come_in_the_order_of_the_requests() -> None:
    dialect = a_dialect()
    dialect.subscribe_message(NAMES[:1], 3)
    dialect.unsubscribe_message(NAMES[:1], 4)
    dialect.subscribe_message(NAMES[:1], 5)
    assert stands(dialect, orderbooks=["BTC/USD"]) == [SubscribeAck(NAMES[:1], 3)]
    assert stands(dialect) == [UnsubscribeAck(NAMES[:1], 4)]
    assert stands(dialect, orderbooks=["BTC/USD"]) == [SubscribeAck(NAMES[:1], 5)]
    assert stands(dialect, orderbooks=["BTC/USD"]) == [SubscribeAck(NAMES[:1])]  # nothing waits: taken at its word


def test_a_new_connection_owes_no_answers_of_the_last() -> None:
    dialect = a_dialect()
    dialect.subscribe_message(NAMES, 3)
    dialect.login_messages()
    dialect.subscribe_message(NAMES[:1], 4)
    assert stands(dialect, orderbooks=["BTC/USD"]) == [SubscribeAck(NAMES[:1], 4)]


@pytest.mark.parametrize("code", sorted({*PERMANENT_CODES, *RETRYABLE_CODES, 999} - {403}))
def test_an_error_is_about_the_request_or_about_the_connection(code: int) -> None:
    dialect = a_dialect()
    dialect.subscribe_message(NAMES, 3)
    (refused,) = heard(dialect, T="error", code=code, msg="words")
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.request_id) == ((NAMES, 3) if code in REQUEST_ERROR_CODES else ((), None))
    assert refused.is_permanent is (code in PERMANENT_CODES)
    assert refused.reason.startswith(f"{code} words")


def test_a_refusal_of_nothing_names_nothing() -> None:
    (refused,) = heard(a_dialect(), T="error", code=400, msg="invalid syntax")
    assert isinstance(refused, SubscribeRejected)
    assert (refused.names, refused.request_id) == ((), None)


def test_being_in_already_is_no_trouble() -> None:
    assert heard(a_dialect(), T="error", code=403, msg="already authenticated") == [Heartbeat()]


def test_everything_goes_over_the_one_connection() -> None:
    (line,) = a_dialect().plan_connections([BTC])
    assert line.url == "ws://venue/v1beta3/crypto/us"
    assert [(topic.channel, topic.symbol, topic.name) for topic in line.topics] == [
        (Channel.DEPTH, BTC, "orderbooks:BTC/USD"),
        (Channel.QUOTES, BTC, "quotes:BTC/USD"),
        (Channel.TRADES, BTC, "trades:BTC/USD"),
    ]
    assert a_dialect().plan_connections([]) == ()


def test_what_is_switched_off_is_not_subscribed() -> None:
    (line,) = a_dialect(quotes=False, trades=False).plan_connections([BTC])
    assert [topic.name for topic in line.topics] == ["orderbooks:BTC/USD"]


def test_names_lead_both_ways() -> None:
    dialect = a_dialect()
    (ask,) = dialect.instrument_requests()
    assert ask.path == "/v1beta3/crypto/us/latest/orderbooks?symbols=BTC%2FUSD%2CETH%2FUSD"
    found = InstrumentRegistry(dialect.decode_instruments([b'{"orderbooks":{"BTC/USD":{},"ODD":{},"LINK/USDT":{}}}']))
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
        dialect.plan_connections([Symbol("ALPACA:DOGE-USD")])


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"<html>"])
def test_an_answer_without_pairs_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        a_dialect().decode_instruments([body])


@pytest.mark.parametrize(("status", "final"), [(401, True), (404, True), (429, False), (500, False)])
def test_only_refusals_that_are_about_us_are_final(status: int, final: bool) -> None:
    assert a_dialect().is_permanent_status(status) is final
    assert a_dialect().ping_message() is None  # type: ignore[func-returns-value]
