"""Recordings of Binance, hand-made and real, give the books that the venue's rules imply, state by state."""

from hashlib import sha256

import pytest

from components.contracts.market import Quote, Trade
from components.market_data.venues.binance.dialect import BinanceDialect, BinanceUmDialect
from components.market_data.venues.binance.settings import BinanceSettings
from components.market_data.venues.dialect import Dialect
from tests.support.playing import Player, recorded
from tests.support.real_recordings import TABLE
from tests.support.recordings import Line, Recording, binance_spot, binance_um

NAMES = ("BINANCE_NKNUSDT", "BINANCEUM_SUSHIUSDT", "BINANCEUM_AKROUSDT")


def dialect_of(lines: tuple[Line, ...]) -> Dialect:
    """Choose by where the listing came from: the streams' addresses are of no account."""
    kind = BinanceUmDialect if "/fapi/" in lines[0].url else BinanceDialect
    return kind("wss://anywhere", "https://anywhere", BinanceSettings())


def played(lines: tuple[Line, ...]) -> Player:
    return Player(dialect_of(lines), lines[:1]).play(lines[1:])


@pytest.mark.parametrize("recording", [binance_spot(changes=40), binance_um(changes=40)], ids=["spot", "usdm"])
def test_a_hand_made_recording_gives_the_truth_at_every_id(recording: Recording) -> None:
    player = played(recording.lines)
    tally = player.sync.tally
    assert (tally.applied, tally.stale, tally.gaps, tally.crossed) == (recording.applied, recording.stale, 0, 0)
    assert player.states == {final: sha256(text.encode()).hexdigest() for final, text in recording.truth.items()}


@pytest.mark.parametrize("recording", [binance_spot(changes=40), binance_um(changes=40)], ids=["spot", "usdm"])
def test_a_hand_made_recording_has_quotes_and_trades_too(recording: Recording) -> None:
    kinds = [type(datum) for datum in played(recording.lines).others]
    assert (kinds.count(Quote), kinds.count(Trade), len(kinds)) == (40, 4, 44)


@pytest.mark.recordings
@pytest.mark.parametrize("name", NAMES)
def test_a_real_recording_gives_what_a_correct_implementation_gets(name: str) -> None:
    player = played(recorded(name))
    tally, row = player.sync.tally, TABLE[name]
    assert {key: getattr(tally, key) for key in ("applied", "stale", "gaps", "crossed")}.items() <= row.items()
    assert (player.states[player.sync.current], player.chain) == (row["sha256_top10"], row["sha256_chain_top10"])
    assert (tally.refetched, tally.malformed, tally.resyncs) == (0, 0, 0)


@pytest.mark.recordings
@pytest.mark.parametrize("name", NAMES)
def test_the_venues_own_quotes_agree_with_the_book_at_every_checkpoint(name: str) -> None:
    lines = recorded(name)
    quotes = {}
    for line in lines:
        if "@bookTicker" in line.text[:40]:
            quotes[int(line.text.partition('"u":')[2].partition(",")[0])] = line
    player = Player(dialect_of(lines), lines[:1])
    checked = 0
    for line in lines[1:]:
        before = player.sync.current
        player.play([line])
        newest = max((u for u in quotes if u <= player.sync.current), default=0)
        if player.sync.is_live and newest > before > 0:
            bids, asks = player.sync.depth.top(1)
            checked += 1
            assert all(f'"{text}"' in quotes[newest].text for level in (*bids, *asks) for text in level[:2])
    assert checked > 20
