"""Recordings, shipped and real ones, produce what their venues' rules imply."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.market_data.cli import cli
from components.market_data.core.recording import parse_file_name
from components.runtime.cli import run_command
from tests.support.real_recordings import EXPECTED_REPORTS, real_recordings
from tests.support.shipped_recordings import FOLDER, ShippedRecording, shipped_recordings

BYTES_MAX = 60_000
SHIPPED = shipped_recordings()
KEYS = [
    "venue",
    "symbol",
    "frames",
    "applied",
    "stale",
    "gaps",
    "crossed",
    "best_bid",
    "best_ask",
    "sha256_top10",
    "sha256_chain_top10",
]

Verify = Callable[..., tuple[int, list[dict[str, Any]]]]

each_shipped = pytest.mark.parametrize("one", SHIPPED, ids=lambda one: one.venue)


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    def verify(*paths: Path) -> tuple[int, list[dict[str, Any]]]:
        code = run_command(cli, ["verify", *map(str, paths), "--json"])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return verify


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[dict[str, Any]]]:
    def replay(path: Path, *options: str) -> list[dict[str, Any]]:
        assert run_command(cli, ["replay", str(path), "--json", *options]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return replay


@each_shipped
def test_the_shipped_recordings_are_what_their_generators_return(one: ShippedRecording, rewrites_golden: bool) -> None:
    if rewrites_golden:
        FOLDER.mkdir(exist_ok=True)
        one.path.write_text(one.recording.text())
    assert one.path.read_text() == one.recording.text()
    assert one.path.stat().st_size < BYTES_MAX
    part = parse_file_name(one.path.name)
    assert part is not None
    assert part.venue == one.venue


def test_nothing_else_is_shipped_as_a_recording() -> None:
    assert sorted(FOLDER.iterdir()) == sorted(one.path for one in SHIPPED)


@each_shipped
def test_a_shipped_recording_is_verified_state_by_state(one: ShippedRecording, verify: Verify) -> None:
    code, verdicts = verify(one.path)
    assert (code, verdicts) == (0, [one.expected_report()])
    assert list(verdicts[0]) == KEYS


def test_several_files_are_verified_in_one_run(verify: Verify) -> None:
    assert verify(*(one.path for one in SHIPPED)) == (0, [one.expected_report() for one in SHIPPED])


@each_shipped
def test_a_recording_without_metadata_shows_the_venues_symbols(
    one: ShippedRecording, verify: Verify, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.jsonl"
    bare.write_text("".join(one.path.read_text().splitlines(keepends=True)[1:]))
    assert verify(bare) == (0, [one.expected_report() | {"symbol": one.native}])


@each_shipped
def test_the_same_recording_publishes_the_same_bytes(one: ShippedRecording, replay: Callable[..., list[Any]]) -> None:
    first = replay(one.path, "--digest")
    assert first == replay(one.path, "--digest")
    assert first[0]["messages"] > one.recording.applied


@each_shipped
def test_a_replay_publishes_every_state_of_the_book(one: ShippedRecording, replay: Callable[..., list[Any]]) -> None:
    book: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
    seen = 0
    for message in replay(one.path):
        if message["type"] not in ("BookSnapshot", "BookDelta"):
            continue
        for side, levels in book.items():
            if message["type"] == "BookSnapshot":
                levels.clear()
            levels |= dict(message[side])
            book[side] = {price: size for price, size in levels.items() if float(size)}
        seen += 1
        assert best(book) == best_of(one, message["book_id"])
    assert seen > len(one.books) / 2


def best(book: dict[str, dict[str, str]]) -> tuple[float, float]:
    return max(map(float, book["bids"])), min(map(float, book["asks"]))


def best_of(one: ShippedRecording, book_id: int) -> tuple[float, float]:
    tops = one.recording.expected_tops
    if book_id not in tops:  # renumbered by the venue
        book_id += max(tops) - renumbered_end(one)
    state = json.loads(tops[book_id])
    return float(state["bids"][0][0]), float(state["asks"][0][0])


def renumbered_end(one: ShippedRecording) -> int:
    end: int = json.loads(one.recording.lines[-1].text)["data"][0]["seqId"]
    return end


@pytest.mark.recordings
def test_every_real_recording_has_its_row_in_the_table() -> None:
    assert set(real_recordings()) == set(EXPECTED_REPORTS)


@pytest.mark.recordings
@pytest.mark.parametrize("name", EXPECTED_REPORTS)
def test_a_real_recording_yields_the_expected_report(name: str, verify: Verify) -> None:
    code, (report,) = verify(real_recordings()[name])
    reported = {key: report[key] for key in EXPECTED_REPORTS[name]}
    assert (code, reported) == (0, EXPECTED_REPORTS[name])
    assert list(report) == KEYS


@pytest.mark.recordings
@pytest.mark.parametrize("name", EXPECTED_REPORTS)
def test_a_real_recording_is_replayed_the_same_each_time(name: str, replay: Callable[..., list[Any]]) -> None:
    path = real_recordings()[name]
    assert replay(path, "--digest") == replay(path, "--digest")
