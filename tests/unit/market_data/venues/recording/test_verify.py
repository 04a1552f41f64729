"""Reports of recordings with defects: a gap, a snapshot behind it, an undecodable frame."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from components.contracts.errors import CorruptData, UsageError
from components.market_data.venues.recording.reader import Recording, open_recording
from components.market_data.venues.recording.verify import BookVerification, verify
from tests.support.shipped_recordings import shipped_recordings
from tests.support.synthetic_recordings import RecordedLine

SPOT, UM, OKX, DERIBIT = shipped_recordings()
Lines = list[RecordedLine]


def written(folder: Path, lines: Iterable[RecordedLine]) -> Recording:
    path = folder / "edited.jsonl"
    path.write_text("".join(json.dumps(line._asdict()) + "\n" for line in lines))
    return Recording([path])


def checked(folder: Path, lines: Iterable[RecordedLine]) -> list[BookVerification]:
    recording = written(folder, lines)
    return verify(recording, open_recording(recording))


def book_of(folder: Path, lines: Iterable[RecordedLine]) -> BookVerification:
    (book,) = checked(folder, lines)
    return book


def changes(lines: Lines) -> list[int]:
    return [place for place, line in enumerate(lines) if "depthUpdate" in line.text]


def snapshot_at(lines: Lines) -> int:
    return next(place for place, line in enumerate(lines) if "/depth?" in line.url)


def snapshot_of(last_id: int, line: RecordedLine, lines: Lines) -> RecordedLine:
    """Return a snapshot as of an update's id, at the time of a line."""
    state = json.loads(SPOT.recording.expected_tops[last_id])
    body = {"lastUpdateId": last_id, **state}
    return lines[snapshot_at(lines)]._replace(at_ns=line.at_ns, text=json.dumps(body))


def last_id_of(line: RecordedLine) -> int:
    last_id: int = json.loads(line.text)["data"]["u"]
    return last_id


@pytest.fixture
def spot() -> Lines:
    return list(SPOT.recording.lines)


def test_a_missing_update_is_a_gap_and_the_book_stays_unverified(spot: Lines, tmp_path: Path) -> None:
    del spot[changes(spot)[30]]
    book = book_of(tmp_path, spot)
    report = book.report()
    assert (report.gaps, report.applied, report.stale, report.frames) == (1, 27, 3, 69)
    assert not book.is_verified


def test_a_snapshot_behind_a_gap_restores_sync(spot: Lines, tmp_path: Path) -> None:
    gap, back = changes(spot)[30], changes(spot)[40]
    spot.insert(back + 1, snapshot_of(last_id_of(spot[back]), spot[back], spot))
    del spot[gap]
    report = book_of(tmp_path, spot).report()
    # 27 before the gap; ten were buffered and are in the snapshot; the other 29 follow it.
    assert (report.gaps, report.applied, report.stale) == (1, 27 + 29, 3 + 10)
    assert report.sha256_top10 == SPOT.expected_report()["sha256_top10"]
    assert report.sha256_chain_top10 != SPOT.expected_report()["sha256_chain_top10"]


def test_a_snapshot_beside_a_live_book_changes_nothing(spot: Lines, tmp_path: Path) -> None:
    later = changes(spot)[40]
    spot.insert(later, spot[snapshot_at(spot)])
    assert book_of(tmp_path, spot).report() == book_of(tmp_path, SPOT.recording.lines).report()


def test_a_snapshot_that_is_too_old_is_replaced_by_a_newer_one(spot: Lines, tmp_path: Path) -> None:
    place = snapshot_at(spot)
    good = spot[place]
    old = json.loads(good.text)
    old["lastUpdateId"] = json.loads(spot[changes(spot)[0]].text)["data"]["U"] - 2
    spot.insert(place, good._replace(text=json.dumps(old)))
    assert book_of(tmp_path, spot).report() == book_of(tmp_path, SPOT.recording.lines).report()


def test_updates_that_come_twice_are_stale(spot: Lines, tmp_path: Path) -> None:
    twice = [line for line in spot for _ in range(2 if "depthUpdate" in line.text else 1)]
    report = book_of(tmp_path, twice).report()
    assert (report.applied, report.stale, report.gaps) == (67, 73, 0)
    assert report.sha256_chain_top10 == SPOT.expected_report()["sha256_chain_top10"]


def test_a_recorded_error_response_is_no_snapshot(spot: Lines, tmp_path: Path) -> None:
    place = snapshot_at(spot)
    spot.insert(place, spot[place]._replace(text='{"code":-1003,"msg":"Too many requests."}'))
    assert book_of(tmp_path, spot).is_verified


def test_without_any_snapshot_nothing_is_verified(spot: Lines, tmp_path: Path) -> None:
    del spot[snapshot_at(spot)]
    book = book_of(tmp_path, spot)
    report = book.report()
    assert (report.frames, report.applied, report.gaps) == (70, 0, 0)
    assert (report.best_bid, report.best_ask) == (None, None)
    assert not book.is_verified


def test_an_invalid_update_shows_as_the_gap_it_leaves(spot: Lines, tmp_path: Path) -> None:
    place = changes(spot)[30]
    spot[place] = spot[place]._replace(text=spot[place].text[:-9])
    book = book_of(tmp_path, spot)
    assert book.report().gaps == 1
    assert not book.is_verified


def test_a_crossed_state_is_counted_and_read_on(spot: Lines, tmp_path: Path) -> None:
    place = changes(spot)[30]
    message = json.loads(spot[place].text)
    message["data"]["b"].append(["200.00", "1"])
    spot[place] = spot[place]._replace(text=json.dumps(message))
    book = book_of(tmp_path, spot)
    report = book.report()
    assert (report.applied, report.gaps, report.crossed) == (67, 0, 40)
    assert not book.is_verified


def test_each_symbol_has_a_line_in_order_of_first_appearance(spot: Lines, tmp_path: Path) -> None:
    def other(line: RecordedLine) -> RecordedLine:
        names = ("BTCUSDT", "LTCUSDT"), ("btcusdt", "ltcusdt"), ('"BTC"', '"LTC"')
        text, url = line.text, line.url
        for old, new in names:
            text, url = text.replace(old, new), url.replace(old, new)
        return line._replace(text=text, url=url)

    both = [twin for line in spot for twin in (other(line), line)]
    books = checked(tmp_path, both)
    assert [book.report().symbol for book in books] == ["BINANCE:LTC-USDT", "BINANCE:BTC-USDT"]
    assert {book.report().sha256_chain_top10 for book in books} == {SPOT.expected_report()["sha256_chain_top10"]}


def test_an_unlisted_symbol_has_no_effect(spot: Lines, tmp_path: Path) -> None:
    place = changes(spot)[30]
    unlisted = spot[place]._replace(text=spot[place].text.replace("BTCUSDT", "XYZUSDT"))
    assert [book.report() for book in checked(tmp_path, [*spot, unlisted])] == [
        book_of(tmp_path, spot).report(),
    ]


def okx_row(line: RecordedLine) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line.text)["data"][0]
    return row


def test_okx_may_send_the_whole_book_at_any_time(tmp_path: Path) -> None:
    lines = list(OKX.recording.lines)
    snapshot = next(line for line in lines if '"snapshot"' in line.text)
    (first, *_) = verify_of(lines, tmp_path)
    restarted = lines.index(snapshot)
    (second, *_) = verify_of([*lines, *lines[restarted:]], tmp_path)
    assert (second.gaps, second.applied, second.frames) == (0, 2 * first.applied, 2 * first.frames)
    assert second.sha256_top10 == first.sha256_top10


def verify_of(lines: Iterable[RecordedLine], folder: Path) -> list[Any]:
    return [book.report() for book in checked(folder, lines)]


def test_okx_without_a_pushed_snapshot_is_joined_to_a_fetched_one(tmp_path: Path) -> None:
    lines = [line for line in OKX.recording.lines if '"snapshot"' not in line.text]
    updates = [place for place, line in enumerate(lines) if '"update"' in line.text]
    seq_id = okx_row(lines[updates[4]])["seqId"]
    state = json.loads(OKX.recording.expected_tops[seq_id])
    whole = {side: [[price, size, "0", "1"] for price, size in state[side]] for side in ("bids", "asks")}
    body = {"code": "0", "msg": "", "data": [{**whole, "ts": "1767225600000", "seqId": seq_id}]}
    url = "https://www.okx.com/api/v5/market/books?instId=BTC-USDT-SWAP&sz=400&source=0"
    lines.insert(updates[4] + 1, RecordedLine(lines[updates[4]].at_ns, "http", url, json.dumps(body)))
    # The made snapshot has only the top 10, and its text differs from the stream's: both would fail the venue's
    # checksum.
    bare = [line._replace(text=line.text.replace('"checksum":', '"ignored":')) for line in lines]
    (report,) = verify_of(bare, tmp_path)
    assert (report.gaps, report.stale, report.applied) == (0, 5, OKX.recording.applied - 5)


def test_a_fetched_book_of_deribit_does_not_restore_sync(tmp_path: Path) -> None:
    lines = list(DERIBIT.recording.lines)
    url = "https://www.deribit.com/api/v2/public/get_order_book?instrument_name=BTC-PERPETUAL"
    del lines[40]
    broken = verify_of(lines, tmp_path)
    message = json.loads(lines[50].text)["params"]["data"]
    whole = {"timestamp": message["timestamp"], "instrument_name": "BTC-PERPETUAL", "change_id": message["change_id"]}
    fetched = RecordedLine(lines[50].at_ns, "http", url, json.dumps({"result": whole | {"bids": [], "asks": []}}))
    lines.insert(51, fetched)
    assert verify_of(lines, tmp_path) == broken
    assert broken[0].gaps == 1


def test_a_path_that_is_no_file_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(UsageError, match=r"no such file|a directory"):
            Recording([path])


def test_an_empty_recording_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(CorruptData, match="contains no frame"):
        checked(tmp_path, [])


def test_a_recording_of_no_known_venue_or_of_two_venues_is_refused(spot: Lines, tmp_path: Path) -> None:
    with pytest.raises(CorruptData, match="no known venue"):
        checked(tmp_path, [RecordedLine(1, "ws", "wss://example.com/", "{}")])
    with pytest.raises(CorruptData, match="BINANCE, DERIBIT"):
        checked(tmp_path, [*spot, *DERIBIT.recording.lines])


def test_a_recording_without_books_has_no_lines(tmp_path: Path) -> None:
    quotes = [line for line in UM.recording.lines if "depth" not in line.text and "/depth" not in line.url]
    assert checked(tmp_path, quotes) == []
