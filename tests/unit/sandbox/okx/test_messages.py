"""OKX's pure rules: the checksum, the cuts of a book channel, ids that are set back, requests, instruments."""

import base64
import hmac
from decimal import Decimal

import pytest

from components.sandbox.okx.book_channels import RESET_STEP, BookView, SequenceIds
from components.sandbox.okx.instruments import INSTRUMENTS, encode_instrument
from components.sandbox.okx.messages import (
    ChecksumMode,
    LoginArgument,
    Operation,
    checksum,
    checksum_field,
    is_valid_login,
    parse_arguments,
    parse_login,
    parse_request,
)


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


def test_the_default_checksum_is_zero_and_an_absent_one_is_nothing() -> None:
    assert checksum_field(ChecksumMode.ZERO, [level(99, 1)], []) == 0
    assert checksum_field(ChecksumMode.ABSENT, [level(99, 1)], []) is None


def test_a_snapshot_has_no_predecessor() -> None:
    push = BookView(10, [level(99, 1)], [level(101, 1)]).snapshot()
    assert (push.is_snapshot, push.prev_sequence, push.sequence) == (True, -1, 10)


def test_an_update_follows_the_window_before_it() -> None:
    window = BookView(10, [level(99, 1)], [])
    push = window.advance(BookView(15, [level(99, 2)], []), [level(99, 2)], [])
    assert (push.prev_sequence, push.sequence, push.bids) == (10, 15, [level(99, 2)])
    assert window.sequence == 15


def test_an_update_restates_touched_levels_that_ended_as_they_began() -> None:
    window = BookView(10, [level(99, 1)], [])
    assert window.advance(BookView(12, [level(99, 1)], []), [level(99, 1)], []).bids == [level(99, 1)]


def test_an_update_deletes_levels_the_client_never_saw() -> None:
    window = BookView(10, [level(99, 1)], [])
    assert window.advance(BookView(12, [level(99, 1)], []), [level(98, 0)], []).bids == [level(98, 0)]


def test_a_level_displaced_from_the_view_is_deleted_and_one_that_enters_is_sent() -> None:
    window = BookView(10, [level(99, 1), level(98, 1)], [])
    pushed_out = window.advance(BookView(11, [level(100, 5), level(99, 1)], []), [level(100, 5)], [])
    assert sorted(pushed_out.bids) == [level(98, 0), level(100, 5)]
    entered = window.advance(BookView(12, [level(99, 1), level(98, 1)], []), [level(100, 0)], [])
    assert sorted(entered.bids) == [level(98, 1), level(100, 0)]


def test_a_touched_level_below_the_view_is_not_sent() -> None:
    window = BookView(10, [level(99, 1)], [])
    assert window.advance(BookView(11, [level(99, 1)], []), [level(50, 3)], []).bids == []


def test_a_keep_alive_follows_itself_and_carries_nothing() -> None:
    push = BookView(15, [level(99, 1)], []).keep_alive()
    assert (push.prev_sequence, push.sequence, push.bids, push.asks) == (15, 15, (), ())


def test_ids_are_the_flows_until_they_are_set_back() -> None:
    numbering = SequenceIds(1_000_000)
    assert numbering.to_wire(1_000_500) == 1_000_500
    assert numbering.reset(1_000_500)
    assert numbering.to_wire(1_000_500) == 1_000_500
    assert numbering.to_wire(1_000_501) == 1_000_000 - RESET_STEP


def test_every_sent_id_means_one_book_across_maintenances() -> None:
    numbering = SequenceIds(1_000_000)
    numbering.reset(1_000_500)
    numbering.reset(1_000_700)
    flow = [1_000_000, 1_000_500, 1_000_501, 1_000_700, 1_000_701, 1_000_900]
    assert [numbering.from_wire(numbering.to_wire(one), 1_000_900) for one in flow] == flow


def test_an_id_still_to_come_means_the_latest_and_one_from_before_the_first_none() -> None:
    numbering = SequenceIds(1_000_000)
    assert numbering.from_wire(1_000_900, 1_000_500) == 1_000_500
    assert numbering.from_wire(999_000, 1_000_500) == 999_000
    numbering.reset(1_000_500)
    assert numbering.from_wire(1_000_000 - RESET_STEP + 5, 1_000_502) == 1_000_502
    assert numbering.from_wire(7, 1_000_502) == 7


def test_ids_cannot_be_set_back_below_zero() -> None:
    numbering = SequenceIds(RESET_STEP + 10)
    assert numbering.reset(RESET_STEP + 20)
    assert not numbering.reset(RESET_STEP + 30)


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
def test_what_is_no_request_is_nothing(text: str) -> None:
    assert parse_request(text) is None


@pytest.mark.parametrize("arguments", ["[]", "[1]", '[{"instId":"BTC-USDT"}]'])
def test_malformed_arguments_are_nothing(arguments: str) -> None:
    request = parse_request('{"op":"subscribe","args":' + arguments + "}")
    assert request is not None
    assert parse_arguments(request) is None


def test_a_login_is_as_good_as_its_signature() -> None:
    sign = base64.b64encode(hmac.digest(b"secret", b"1700000000GET/users/self/verify", "sha256")).decode()
    good = LoginArgument(apiKey="key", timestamp="1700000000", sign=sign)
    assert is_valid_login(good, "key", "secret")
    assert not is_valid_login(good, "other", "secret")
    assert not is_valid_login(good, "key", "other")


def test_a_login_without_arguments_is_nothing() -> None:
    request = parse_request('{"op":"login","args":[]}')
    assert request is not None
    assert parse_login(request) is None


def test_every_listing_is_described_in_texts_with_its_contract_in_two_factors() -> None:
    for listing in INSTRUMENTS:
        found = encode_instrument(listing)
        assert all(isinstance(value, str) for value in found.values())
        value = Decimal(found["ctVal"] or 1) * Decimal(found["ctMult"] or 1)
        assert value == listing.contract


def test_an_inverse_contract_is_worth_dollars_and_a_linear_one_coins() -> None:
    found = {one.symbol: encode_instrument(one) for one in INSTRUMENTS}
    assert (found["BTC-USD-SWAP"]["ctType"], found["BTC-USD-SWAP"]["ctValCcy"]) == ("inverse", "USD")
    assert (found["BTC-USDT-SWAP"]["ctType"], found["BTC-USDT-SWAP"]["ctValCcy"]) == ("linear", "BTC")
    assert found["BTC-USDT"]["baseCcy"] == "BTC"
