"""Hand-made and real recordings of Binance produce the books that the venue's rules imply, id by id."""

from hashlib import sha256

import pytest

from components.contracts.market import Quote, Trade
from components.market_data.venues.adapter import VenueAdapter
from components.market_data.venues.binance.adapter import BinanceFuturesAdapter, BinanceSpotAdapter
from components.market_data.venues.binance.requests import BinanceSettings
from tests.support.real_recordings import EXPECTED_REPORTS
from tests.support.recording_player import RecordingPlayer, recorded_lines
from tests.support.synthetic_recordings import RecordedLine, Recording, binance_spot, binance_um

NAMES = ("BINANCE_NKNUSDT", "BINANCEUM_SUSHIUSDT", "BINANCEUM_AKROUSDT")


def adapter_for(lines: tuple[RecordedLine, ...]) -> VenueAdapter:
    """Return the adapter for a recording, chosen by the URL of its exchange information."""
    kind = BinanceFuturesAdapter if "/fapi/" in lines[0].url else BinanceSpotAdapter
    return kind("wss://anywhere", "https://anywhere", BinanceSettings())


def played(lines: tuple[RecordedLine, ...]) -> RecordingPlayer:
    return RecordingPlayer(adapter_for(lines), lines[:1]).play(lines[1:])


@pytest.mark.parametrize("recording", [binance_spot(changes=40), binance_um(changes=40)], ids=["spot", "usdm"])
def test_a_hand_made_recording_gives_the_expected_book_at_every_id(recording: Recording) -> None:
    player = played(recording.lines)
    tally = player.sync.stats
    assert (tally.applied, tally.stale, tally.gaps, tally.crossed) == (recording.applied, recording.stale, 0, 0)
    assert player.states == {
        final: sha256(text.encode()).hexdigest() for final, text in recording.expected_tops.items()
    }


@pytest.mark.parametrize("recording", [binance_spot(changes=40), binance_um(changes=40)], ids=["spot", "usdm"])
def test_a_hand_made_recording_has_quotes_and_trades_too(recording: Recording) -> None:
    kinds = [type(datum) for datum in played(recording.lines).other_data]
    assert (kinds.count(Quote), kinds.count(Trade), len(kinds)) == (40, 4, 44)


@pytest.mark.recordings
@pytest.mark.parametrize("name", NAMES)
def test_a_real_recording_gives_what_a_correct_implementation_gets(name: str) -> None:
    player = played(recorded_lines(name))
    tally, row = player.sync.stats, EXPECTED_REPORTS[name]
    assert {key: getattr(tally, key) for key in ("applied", "stale", "gaps", "crossed")}.items() <= row.items()
    assert (player.states[player.sync.last_id], player.fingerprint) == (row["sha256_top10"], row["sha256_chain_top10"])
    assert (tally.snapshots_too_old, tally.malformed, tally.resyncs) == (0, 0, 0)


@pytest.mark.recordings
@pytest.mark.parametrize("name", NAMES)
def test_the_venues_own_quotes_agree_with_the_book_at_every_checkpoint(name: str) -> None:
    lines = recorded_lines(name)
    quotes = {}
    for line in lines:
        if "@bookTicker" in line.text[:40]:
            quotes[int(line.text.partition('"u":')[2].partition(",")[0])] = line
    player = RecordingPlayer(adapter_for(lines), lines[:1])
    checked = 0
    for line in lines[1:]:
        before = player.sync.last_id
        player.play([line])
        newest = max((u for u in quotes if u <= player.sync.last_id), default=0)
        if player.sync.is_live and newest > before > 0:
            bids, asks = player.sync.book.top(1)
            checked += 1
            assert all(f'"{text}"' in quotes[newest].text for level in (*bids, *asks) for text in level[:2])
    assert checked > 20
