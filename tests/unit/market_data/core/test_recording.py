"""Frames and lines, files and names of a recording convert into each other without loss."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import CorruptData
from components.contracts.values import Venue
from components.market_data.core.recording import (
    Frame,
    RecordingFile,
    Via,
    decode_line,
    encode_line,
    file_name,
    group_consecutive,
    list_files,
    parse_file_name,
)

AT_NS = 1_767_225_600_123_456_789
FRAME = Frame(AT_NS, Via.STREAM, "wss://venue/ws", b'{"e":"x"}')
PART = RecordingFile(Venue("BINANCEUM"), 1_767_225_600, 3)


def test_a_line_has_the_keys_of_every_recording_in_their_order() -> None:
    line = encode_line(FRAME)
    assert line.endswith(b"}\n")
    assert list(json.loads(line).items()) == [
        ("at_ns", AT_NS),
        ("via", "ws"),
        ("url", "wss://venue/ws"),
        ("text", '{"e":"x"}'),
    ]


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_come_back_as_they_were_received(text: bytes) -> None:
    frame = Frame(AT_NS, Via.RESPONSE, "https://venue/x?y=z", text)
    line = encode_line(frame)
    assert line.count(b"\n") == 1
    assert decode_line(line, "x", 1) == frame


def test_spaces_and_further_keys_do_no_harm() -> None:
    line = b' {"text": "pong", "note": [1], "via": "ws", "url": "u", "at_ns": 5}\r\n'
    assert decode_line(line, "x", 1) == Frame(5, Via.STREAM, "u", b"pong")


@pytest.mark.parametrize(
    "line",
    [
        b"nonsense",
        b'{"at_ns":1,"via":"ws","url":"u","text":"cut o',
        b'{"at_ns":1,"via":"ws","url":"u"}',
        b'{"at_ns":"1","via":"ws","url":"u","text":""}',
        b'{"at_ns":1.5,"via":"ws","url":"u","text":""}',
        b'{"at_ns":1,"via":"mail","url":"u","text":""}',
        b'{"at_ns":1,"via":"ws","url":"u","text":{}}',
        b'{"at_ns":1,"via":"ws","url":"u","text":"\xff"}',
        b'{"at_ns":1,"via":"ws","url":"u","text":"\\ud800',
        b'{"at_ns":1,"via":"ws","url":"u","text":"\\ud800"}',
        b"[1]",
        b"[" * 5000,
    ],
)
def test_damage_is_reported_with_file_and_line(line: bytes) -> None:
    with pytest.raises(CorruptData, match=r"^some\.jsonl: line 7 is not a recorded frame: "):
        decode_line(line, "some.jsonl", 7)


def test_a_name_states_venue_start_time_and_number() -> None:
    assert file_name(PART) == "BINANCEUM_20260101T000000_3.jsonl"
    assert file_name(RecordingFile(Venue("OKX"), 0, 1, is_complete=False)) == "OKX_19700101T000000_1.jsonl.part"


@given(
    st.builds(
        RecordingFile,
        st.from_regex(r"[A-Z]{2,16}", fullmatch=True).map(Venue),
        st.integers(0, 4_000_000_000),
        st.integers(1, 999_999_999),
        st.booleans(),
    )
)
def test_a_name_is_read_back_as_it_was_built(part: RecordingFile) -> None:
    assert parse_file_name(file_name(part)) == part


@pytest.mark.parametrize(
    "name",
    [
        "BINANCE_NKNUSDT.jsonl",
        "BINANCE_20260101T000000.jsonl",
        "BINANCE_20260101T000000_0.jsonl",
        "BINANCE_20260101T000000_01.jsonl",
        "BINANCE_20261301T000000_1.jsonl",
        "binance_20260101T000000_1.jsonl",
        "BINANCE_20260101T000000_1.jsonl.gz",
        "x/BINANCE_20260101T000000_1.jsonl",
        "BINANCE_20260101T000000_1.jsonl\n",
        "",
    ],
)
def test_any_other_name_is_not_ours(name: str) -> None:
    assert parse_file_name(name) is None


def test_files_are_listed_by_their_numbers_not_by_their_letters() -> None:
    names = [f"OKX_20260101T000000_{number}.jsonl" for number in (10, 9, 1)]
    names += ["DERIBIT_20270101T000000_1.jsonl", "DERIBIT_20260101T000000_2.jsonl.part", "notes.txt"]
    assert [name for name, _ in list_files(names)] == [
        "DERIBIT_20260101T000000_2.jsonl.part",
        "DERIBIT_20270101T000000_1.jsonl",
        "OKX_20260101T000000_1.jsonl",
        "OKX_20260101T000000_9.jsonl",
        "OKX_20260101T000000_10.jsonl",
    ]


def test_files_that_follow_each_other_are_one_recording() -> None:
    first, second, tenth = (Path(f"a/OKX_20260101T000000_{number}.jsonl") for number in (1, 2, 10))
    elsewhere, named = Path("b/OKX_20260101T000000_3.jsonl"), Path("a/OKX_BTC-USDT.jsonl")
    given_paths = [first, second, tenth, named, second, elsewhere]
    assert group_consecutive(given_paths) == [[first, second], [tenth], [named], [second], [elsewhere]]
