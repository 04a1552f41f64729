"""Messages of the simulated OKX: checksums, requests, logins, trades and tickers."""

import base64
import hmac
from decimal import Decimal

import pytest

from components.sandbox.okx.instruments import INSTRUMENTS
from components.sandbox.okx.messages import (
    ChecksumMode,
    LoginArgument,
    Operation,
    checksum,
    checksum_field,
    is_valid_login,
    merge_fills,
    parse_arguments,
    parse_login,
    parse_request,
    ticker_document,
    trade_document,
)
from components.sandbox.simulation.order_flow import IdSpace, OrderFlow, SimTrade

SYMBOL = "BTC-USDT"


def level(price: int, quantity: int) -> tuple[Decimal, Decimal]:
    return Decimal(price), Decimal(quantity)


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ([("3366.1", "7"), ("3366", "6")], [("3366.8", "9"), ("3368", "8")], -1_881_014_294),
        ([("3366.1", "7")], [("3366.8", "9"), ("3368", "8"), ("3372", "8")], 831_078_360),
        ([], [], 0),
    ],
)
def test_the_checksum_matches_the_known_vectors(
    bids: list[tuple[str, str]], asks: list[tuple[str, str]], expected: int
) -> None:
    assert checksum(bids, asks) == expected


def test_a_wrong_checksum_is_neither_right_nor_zero() -> None:
    bids, asks = [level(99, 1)], [level(101, 2)]
    right = checksum_field(ChecksumMode.VALID, bids, asks)
    assert checksum_field(ChecksumMode.WRONG, bids, asks) not in {0, right}


def test_the_default_checksum_is_zero_and_an_absent_one_is_none() -> None:
    assert checksum_field(ChecksumMode.ZERO, [level(99, 1)], []) == 0
    assert checksum_field(ChecksumMode.ABSENT, [level(99, 1)], []) is None


def test_a_request_is_read_with_its_arguments() -> None:
    request = parse_request('{"id":"7","op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}')
    assert request is not None
    assert (request.op, request.id) == (Operation.SUBSCRIBE, "7")
    arguments = parse_arguments(request)
    assert arguments is not None
    assert (arguments[0].channel, arguments[0].instId) == ("books", "BTC-USDT")


@pytest.mark.parametrize(
    "text", ["", "{", '{"op":"buy","args":[]}', '{"op":"subscribe"}', '{"op":"subscribe","args":["' + "x" * 70_000]
)
def test_a_text_that_is_no_request_is_none(text: str) -> None:
    assert parse_request(text) is None


@pytest.mark.parametrize("arguments", ["[]", "[1]", '[{"instId":"BTC-USDT"}]'])
def test_malformed_arguments_are_none(arguments: str) -> None:
    request = parse_request('{"op":"subscribe","args":' + arguments + "}")
    assert request is not None
    assert parse_arguments(request) is None


def test_a_login_needs_a_valid_signature() -> None:
    sign = base64.b64encode(hmac.digest(b"secret", b"1700000000GET/users/self/verify", "sha256")).decode()
    good = LoginArgument(apiKey="key", timestamp="1700000000", sign=sign)
    assert is_valid_login(good, "key", "secret")
    assert not is_valid_login(good, "other", "secret")
    assert not is_valid_login(good, "key", "other")


def test_a_login_without_arguments_is_none() -> None:
    request = parse_request('{"op":"login","args":[]}')
    assert request is not None
    assert parse_login(request) is None


def market() -> OrderFlow:
    return OrderFlow(INSTRUMENTS[:1], 7, IdSpace.PER_SYMBOL)


def fill(number: int, at_ns: int, price: str = "100", *, is_buy: bool = True) -> SimTrade:
    return SimTrade(number, at_ns, Decimal(price), Decimal(2), is_buy)


def test_fills_of_one_moment_price_and_side_are_one_trade_that_counts_them() -> None:
    merged = merge_fills([fill(5, 1), fill(6, 1), fill(7, 1, "101"), fill(8, 1, "101", is_buy=False), fill(9, 2)])
    assert [(one.last.id, one.fills) for one in merged] == [(6, 2), (7, 1), (8, 1), (9, 1)]
    assert trade_document(SYMBOL, merged[0], 77) == {
        "instId": SYMBOL,
        "tradeId": "6",
        "px": "100",
        "sz": "4",
        "side": "buy",
        "ts": "0",
        "source": "0",
        "seqId": 77,
        "count": "2",
    }


def test_a_ticker_before_the_first_trade_has_no_last_price() -> None:
    found = ticker_document(INSTRUMENTS[0], market())
    assert (found["last"], found["lastSz"], found["instType"]) == ("", "", "SPOT")
