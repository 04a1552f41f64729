"""Messages of the simulated Deribit: number formatting, tickers and trades."""

import json
from decimal import Decimal

import msgspec
import pytest

from components.sandbox.deribit.instruments import INSTRUMENTS
from components.sandbox.deribit.messages import json_number, ticker_document, trade_document
from components.sandbox.simulation.order_book import BookSide, SimulatedBook
from components.sandbox.simulation.order_flow import SimTrade


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


def book(*bids: tuple[int, int]) -> SimulatedBook:
    made = SimulatedBook(10, BookSide(), BookSide())
    for price, amount in bids:
        made.bids.set_level(Decimal(price), Decimal(amount))
    return made


def test_an_empty_side_is_zeros_in_a_ticker() -> None:
    found = ticker_document(INSTRUMENTS[0], book((99, 10)), None, 0)
    assert (bytes(found["best_ask_price"]), bytes(found["best_ask_amount"])) == (b"0.0", b"0.0")  # type: ignore[call-overload]


def test_trade_ids_are_of_the_venue_and_prefixed_beside_bitcoin() -> None:
    fill = SimTrade(3, 0, Decimal(100), Decimal(20), is_buy=False)
    bitcoin, ether = trade_document(INSTRUMENTS[0], 0, fill), trade_document(INSTRUMENTS[1], 1, fill)
    assert (bitcoin["trade_id"], ether["trade_id"]) == ("1000000003", "ETH-2000000003")
    assert bytes(bitcoin["contracts"]) == b"2.0"  # type: ignore[call-overload]
    assert bitcoin["direction"] == "sell"
