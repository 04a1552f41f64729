"""The real recording of OKX gives the book and the checksums that the venue had."""

import pytest

from components.contracts.market import Trade
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import Odd, Oddity
from tests.support.okx_frames import dialect
from tests.support.playing import Player, recorded
from tests.support.real_recordings import TABLE
from tests.support.recordings import Line

NAME = "OKX_BTC-USDT"


def player_and_frames() -> tuple[Player, list[Line]]:
    """Divide the recording into what was listed and what came on the stream."""
    lines = recorded(NAME)
    return Player(dialect(()), [line for line in lines if line.via == "http"]), [
        line for line in lines if line.via == "ws"
    ]


@pytest.mark.recordings
def test_a_real_recording_gives_what_a_correct_implementation_gets() -> None:
    player, frames = player_and_frames()
    tally, expected = player.play(frames).sync.tally, TABLE[NAME]
    assert {key: getattr(tally, key) for key in ("applied", "stale", "gaps", "crossed")}.items() <= expected.items()
    assert player.chain == expected["sha256_chain_top10"]
    assert (tally.mismatched, tally.malformed, tally.resyncs) == (0, 0, 0)


@pytest.mark.recordings
def test_every_checksum_of_a_real_recording_agrees() -> None:
    player, frames = player_and_frames()
    valid = 0
    for frame in frames:
        player.play([frame])
        for datum in player.dialect.read(frame.text.encode(), frame.at_ns).data:
            if isinstance(datum, DepthChange | DepthImage):
                assert player.dialect.rule.agrees(player.sync.depth, datum.checksum)
                valid += datum.checksum != 0
    assert valid == 98


@pytest.mark.recordings
def test_all_else_in_a_real_recording_is_trades_and_tickers() -> None:
    player, frames = player_and_frames()
    others = player.play(frames).others
    assert [type(datum) for datum in others].count(Trade) == 69
    assert {datum.kind for datum in others if isinstance(datum, Odd)} == {Oddity.UNKNOWN}
