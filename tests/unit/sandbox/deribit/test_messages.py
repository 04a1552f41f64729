"""Deribit's pure rules: numbers as it writes them, channel names, credits, instruments."""

import json
from decimal import Decimal

import msgspec
import pytest

from components.sandbox.deribit.book_channels import Channel, Topic, parse_channel
from components.sandbox.deribit.instruments import INSTRUMENTS, encode_instrument, matches
from components.sandbox.deribit.messages import json_number
from components.sandbox.deribit.publisher import call_bucket, subscription_bucket

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4714", "4714.0"),
        ("1E+3", "1000.0"),
        ("0.10", "0.1"),
        ("0.0001", "0.0001"),
        ("0.00005", "5e-05"),
        ("0.0000125", "1.25e-05"),
        ("-0.00005", "-5e-05"),
        ("0.00", "0.0"),
        ("92000.5", "92000.5"),
    ],
)
def test_numbers_are_written_as_the_venue_prints_its_floats(value: str, text: str) -> None:
    assert msgspec.json.encode(json_number(Decimal(value))).decode() == text


@pytest.mark.parametrize("value", ["0.00037", "0.00005", "123456.789", "0.0000001", "37000", "0.99999"])
def test_numbers_are_those_python_would_print(value: str) -> None:
    assert msgspec.json.encode(json_number(Decimal(value))).decode() == json.dumps(float(value))


@pytest.mark.parametrize(
    "name",
    [
        "book.BTC-PERPETUAL.raw",
        "book.BTC-PERPETUAL.100ms",
        "book.BTC-PERPETUAL.agg2",
        "trades.BTC-25DEC26-80000-P.raw",
        "trades.future.BTC.100ms",
        "ticker.BTC_USDC.100ms",
        "quote.BTC-PERPETUAL",
        "platform_state",
    ],
)
def test_a_channel_keeps_its_name(name: str) -> None:
    channel = parse_channel(name)
    assert channel is not None
    assert channel.name == name


@pytest.mark.parametrize("name", ["", "book", "book.BTC-PERPETUAL", "book.BTC-PERPETUAL.5ms", "fees.BTC-PERPETUAL.raw"])
def test_what_no_channel_is_called_is_nothing(name: str) -> None:
    assert parse_channel(name) is None


def test_trades_of_a_kind_name_no_instrument() -> None:
    assert parse_channel("trades.option.any.raw") == Channel(Topic.TRADES, "raw", kind="option", currency="any")


def test_ten_subscriptions_at_once_are_allowed_and_then_three_a_second() -> None:
    credits_left = subscription_bucket(0)
    assert [credits_left.spend(0) for _ in range(11)] == [True] * 10 + [False]
    assert [credits_left.spend(SECOND_NS) for _ in range(4)] == [True] * 3 + [False]


def test_a_hundred_ordinary_calls_at_once_are_allowed() -> None:
    credits_left = call_bucket(0)
    assert [credits_left.spend(0) for _ in range(101)] == [True] * 100 + [False]


def test_every_listing_is_described_in_json_numbers() -> None:
    for place, listing in enumerate(INSTRUMENTS):
        found = json.loads(msgspec.json.encode(encode_instrument(listing, place)))
        assert isinstance(found["tick_size"], float)
        assert Decimal(str(found["contract_size"])) == listing.contract


def test_the_smallest_tick_has_an_exponent() -> None:
    doge = next(one for one in INSTRUMENTS if one.symbol == "DOGE_USDC-PERPETUAL")
    assert b'"tick_size":1e-05' in msgspec.json.encode(encode_instrument(doge, 0))


def test_an_option_is_finer_when_it_is_cheap() -> None:
    option = next(one for one in INSTRUMENTS if one.option_type)
    found = json.loads(msgspec.json.encode(encode_instrument(option, 0)))
    assert found["tick_size"] == 0.0001
    assert found["tick_size_steps"] == [{"above_price": 0.005, "tick_size": 0.0005}]


def test_instruments_are_found_by_what_they_settle_in_and_spot_by_either_coin() -> None:
    def found(currency: str, kind: str | None = None) -> set[str]:
        return {one.symbol for one in INSTRUMENTS if matches(one, currency, kind)}

    assert found("BTC", "option") == {"BTC-25DEC26-80000-P"}
    assert found("BTC", "spot") == found("USDC", "spot") == {"BTC_USDC"}
    assert found("ETH") == {"ETH-PERPETUAL"}
    assert found("USDC", "future") == {"DOGE_USDC-PERPETUAL"}
    assert found("any") == {one.symbol for one in INSTRUMENTS}
