"""A book that joins its stream late, early or twice equals the unedited recording's book at every later id."""

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import cache
from typing import NamedTuple

import pytest

from components.market_data.core.book.sequencing import ResyncMethod
from components.market_data.core.book.synchronizer import SyncLimits
from components.market_data.venues.binance.adapter import BinanceFuturesAdapter, BinanceSpotAdapter
from components.market_data.venues.binance.requests import BinanceSettings
from tests.support.recording_player import RecordingPlayer, recorded_lines
from tests.support.synthetic_recordings import RecordedLine, binance_spot, binance_um

HAND_MADE = {"spot": lambda: binance_spot(changes=50).lines, "usdm": lambda: binance_um(changes=50).lines}
REAL_NAMES = ("BINANCE_NKNUSDT", "BINANCEUM_SUSHIUSDT", "BINANCEUM_AKROUSDT")
EVERY = [*HAND_MADE, *(pytest.param(name, marks=pytest.mark.recordings) for name in REAL_NAMES)]
MANY_OLD_ONES = SyncLimits(stale_events_max=1000)
"""Duplicates are examined one by one here; another test covers a venue that sends only old ids."""


class BookSides(NamedTuple):
    """A book by price, in the venue's own texts."""

    bids: dict[Decimal, list[str]]
    asks: dict[Decimal, list[str]]

    def after(self, bids: Sequence[list[str]], asks: Sequence[list[str]]) -> "BookSides":
        """Return the book with these levels set."""
        return BookSides(_set(self.bids, bids), _set(self.asks, asks))


class RecordedUpdate(NamedTuple):
    """One depth update with its recorded line, and the book after it."""

    line: RecordedLine
    first_id: int
    prev_id: int
    last_id: int
    bids: list[list[str]]
    asks: list[list[str]]
    book: BookSides


class ParsedRecording(NamedTuple):
    """The updates of a recording after its snapshot, each with the resulting book."""

    listing: RecordedLine
    snapshot: RecordedLine
    updates: tuple[RecordedUpdate, ...]
    states: dict[int, str]

    @property
    def is_um(self) -> bool:
        """Return whether the update that ends at a snapshot's id is applied once more."""
        return "/fapi/" in self.listing.url

    def snapshot_of(self, book: BookSides, last_id: int, after: RecordedLine) -> RecordedLine:
        """Return a snapshot line as if it had been fetched right after another line."""
        bids, asks = (
            [book.bids[price] for price in sorted(book.bids, reverse=True)],
            [book.asks[price] for price in sorted(book.asks)],
        )
        message = {"lastUpdateId": last_id, "bids": bids, "asks": asks}
        return self.snapshot._replace(text=json.dumps(message), at_ns=after.at_ns + 1)

    def played(self, lines: Sequence[RecordedLine]) -> RecordingPlayer:
        """Play edited lines after the instruments, with the limits of a live book."""
        return player(self.listing).play(lines)


def player(listing: RecordedLine) -> RecordingPlayer:
    kind = BinanceFuturesAdapter if "/fapi/" in listing.url else BinanceSpotAdapter
    return RecordingPlayer(kind("wss://anywhere", "https://anywhere", BinanceSettings()), [listing], MANY_OLD_ONES)


def _set(side: dict[Decimal, list[str]], levels: Sequence[list[str]]) -> dict[Decimal, list[str]]:
    touched = side | {Decimal(level[0]): level for level in levels}
    return {price: level for price, level in touched.items() if Decimal(level[1])}


def _parse_updates(lines: Sequence[RecordedLine], snapshot: RecordedLine) -> Iterator[RecordedUpdate]:
    start = json.loads(snapshot.text)
    book = BookSides({}, {}).after(start["bids"], start["asks"])
    for line in lines:
        if '"depthUpdate"' not in line.text:
            continue
        message = json.loads(line.text)["data"]
        if message["u"] > start["lastUpdateId"]:
            book = book.after(message["b"], message["a"])
            yield RecordedUpdate(
                line, message["U"], message.get("pu", message["U"] - 1), message["u"], message["b"], message["a"], book
            )


@cache
def parsed(name: str) -> ParsedRecording:
    listing, *lines = HAND_MADE[name]() if name in HAND_MADE else recorded_lines(name)
    (snapshot,) = [line for line in lines if line.via == "http"]
    return ParsedRecording(
        listing, snapshot, tuple(_parse_updates(lines, snapshot)), player(listing).play(lines).states
    )


def lines_of(updates: Sequence[RecordedUpdate]) -> list[RecordedLine]:
    return [update.line for update in updates]


def differing(parsed: ParsedRecording, player: RecordingPlayer, updates: Sequence[RecordedUpdate]) -> list[int]:
    """Return the ids at which the edited recording's book differs or is missing."""
    return [update.last_id for update in updates if player.states.get(update.last_id) != parsed.states[update.last_id]]


@pytest.mark.parametrize("name", EVERY)
def test_j1_a_snapshot_from_the_middle_of_an_update_takes_all_of_it(name: str) -> None:
    this = parsed(name)
    updates = this.updates
    middle = next(
        number
        for number, one in enumerate(updates)
        if number >= 5 and one.prev_id + 1 < one.last_id and len(one.bids) + len(one.asks) > 1
    )
    torn = updates[middle]
    book = updates[middle - 1].book.after(torn.bids[:1], [] if torn.bids else torn.asks[:1])
    snapshot = this.snapshot_of(book, torn.last_id - 1, updates[middle + 2].line)
    buffered, rest = updates[middle - 2 : middle + 3], updates[middle + 3 :]
    player = this.played([*lines_of(buffered), snapshot, *lines_of(rest)])
    assert differing(this, player, updates[middle:]) == []
    tally = player.sync.stats
    assert (tally.applied, tally.stale, tally.gaps, tally.snapshots_too_old) == (len(updates) - middle, 2, 0, 0)


@pytest.mark.parametrize("name", EVERY)
def test_j2_a_snapshot_from_before_the_buffer_is_fetched_again(name: str) -> None:
    this = parsed(name)
    updates = this.updates
    old = this.snapshot_of(updates[2].book, updates[2].last_id, updates[8].line)
    newer = next(one for one in updates[20:] if one.line.at_ns > updates[8].line.at_ns + 1_000_000_000)
    good = updates.index(newer)
    snapshot = this.snapshot_of(updates[good].book, updates[good].last_id, updates[good].line)
    before, after = updates[6:9], updates[9 : good + 1]
    player = this.played([*lines_of(before), old])
    assert (player.states, player.sync.stats.snapshots_too_old, player.sync.is_live) == ({}, 1, False)
    player.play([*lines_of(after), snapshot, *lines_of(updates[good + 1 :])])
    assert set(player.resync_methods) == {ResyncMethod.FETCH}
    assert len(player.resync_methods) > 1
    assert differing(this, player, updates[good:]) == []
    assert (player.sync.stats.gaps, player.sync.stats.resyncs, player.sync.stats.snapshots) == (0, 0, 1)


@pytest.mark.parametrize("name", EVERY)
def test_j3_a_snapshot_ahead_of_the_buffer_waits_for_what_follows_it(name: str) -> None:
    this = parsed(name)
    updates = this.updates
    snapshot = this.snapshot_of(updates[9].book, updates[9].last_id, updates[7].line)
    player = this.played([*lines_of(updates[3:8]), snapshot])
    assert (player.sync.is_live, player.sync.last_id, player.sync.stats.stale) == (True, updates[9].last_id, 5)
    player.play(lines_of(updates[8:]))
    assert differing(this, player, updates[9:]) == []
    assert set(player.states) == {one.last_id for one in updates[9:]}
    tally = player.sync.stats
    # USD-M applies the update that ends at the snapshot's own id once more.
    assert (tally.applied, tally.stale) == (len(updates) - 10 + this.is_um, 7 - this.is_um)
    assert (tally.gaps, tally.snapshots_too_old) == (0, 0)


def duplicated(updates: Sequence[RecordedUpdate]) -> list[RecordedLine]:
    return [line for line in lines_of(updates) for _ in range(2)]


def again_later(updates: Sequence[RecordedUpdate]) -> list[RecordedLine]:
    return [line for index, one in enumerate(updates) for line in (one.line, updates[max(0, index - 3)].line)]


@pytest.mark.parametrize("repeat", [duplicated, again_later])
@pytest.mark.parametrize("name", EVERY)
def test_j4_duplicates_change_nothing(
    name: str, repeat: Callable[[Sequence[RecordedUpdate]], list[RecordedLine]]
) -> None:
    this = parsed(name)
    updates = this.updates
    snapshot = this.snapshot_of(updates[2].book, updates[2].last_id, updates[5].line)
    player = this.played([*repeat(updates[:6]), snapshot, *repeat(updates[6:])])
    assert differing(this, player, updates[2:]) == []
    assert set(player.states) == {one.last_id for one in updates[2:]}
    tally = player.sync.stats
    assert tally.applied == len(updates) - 3 + this.is_um
    assert tally.applied + tally.stale == 2 * len(updates)
    assert (tally.gaps, tally.resyncs, tally.snapshots_too_old) == (0, 0, 0)


@pytest.mark.parametrize("name", EVERY)
def test_a_lost_update_is_one_gap_and_the_next_snapshot_ends_it(name: str) -> None:
    this = parsed(name)
    updates = this.updates
    start = this.snapshot_of(updates[2].book, updates[2].last_id, updates[3].line)
    snapshot = this.snapshot_of(updates[30].book, updates[30].last_id, updates[30].line)
    player = this.played([*lines_of(updates[1:4]), start, *lines_of(updates[4:10]), *lines_of(updates[11:13])])
    assert (player.sync.stats.gaps, player.sync.is_live) == (1, False)
    gap = player.sync.gap
    assert gap is not None
    assert (gap.expected, gap.got) == (updates[9].last_id, updates[11].prev_id)
    player.play([*lines_of(updates[13:31]), snapshot, *lines_of(updates[31:])])
    assert differing(this, player, [*updates[2:10], *updates[30:]]) == []
    assert (player.sync.stats.gaps, player.sync.stats.resyncs) == (1, 1)
