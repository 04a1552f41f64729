"""The real recording of OKX gives the book and the checksums that the venue had."""

import pytest

from components.contracts.market import Trade
from components.market_data.core.events import DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind
from tests.support.okx_frames import okx_adapter
from tests.support.real_recordings import EXPECTED_REPORTS
from tests.support.recording_player import RecordingPlayer, recorded_lines
from tests.support.synthetic_recordings import RecordedLine

NAME = "OKX_BTC-USDT"


def player_and_frames() -> tuple[RecordingPlayer, list[RecordedLine]]:
    """Split the recording into the instrument metadata and the frames of the stream."""
    lines = recorded_lines(NAME)
    return RecordingPlayer(okx_adapter(()), [line for line in lines if line.via == "http"]), [
        line for line in lines if line.via == "ws"
    ]


@pytest.mark.recordings
def test_a_real_recording_gives_what_a_correct_implementation_gets() -> None:
    player, frames = player_and_frames()
    tally, expected = player.play(frames).sync.stats, EXPECTED_REPORTS[NAME]
    assert {key: getattr(tally, key) for key in ("applied", "stale", "gaps", "crossed")}.items() <= expected.items()
    assert player.fingerprint == expected["sha256_chain_top10"]
    assert (tally.checksum_mismatches, tally.malformed, tally.resyncs) == (0, 0, 0)


@pytest.mark.recordings
def test_every_checksum_of_a_real_recording_agrees() -> None:
    player, frames = player_and_frames()
    valid = 0
    for frame in frames:
        player.play([frame])
        for datum in player.adapter.decode(frame.text.encode(), frame.at_ns).data:
            if isinstance(datum, DepthUpdate | DepthSnapshot):
                assert player.adapter.sequence_rule.checksum_matches(player.sync.book, datum.checksum)
                valid += datum.checksum != 0
    assert valid == 98


@pytest.mark.recordings
def test_all_else_in_a_real_recording_is_trades_and_tickers() -> None:
    player, frames = player_and_frames()
    others = player.play(frames).other_data
    assert [type(datum) for datum in others].count(Trade) == 69
    assert {datum.kind for datum in others if isinstance(datum, DecodeIssue)} == {IssueKind.UNKNOWN}
