"""A book that joins its stream late, early or twice is the un-edited recording's book at every id from then on."""

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
"""Duplicates are told apart one by one here; a venue that sends only old ids is another test's matter."""


class Sides(NamedTuple):
    """A book by its prices, in the venue's own texts."""

    bids: dict[Decimal, list[str]]
    asks: dict[Decimal, list[str]]

    def after(self, bids: Sequence[list[str]], asks: Sequence[list[str]]) -> "Sides":
        """Give the book with these levels set."""
        return Sides(_set(self.bids, bids), _set(self.asks, asks))


class Change(NamedTuple):
    """One change of depth in its own line, and the book after it."""

    line: RecordedLine
    first: int
    previous: int
    final: int
    bids: list[list[str]]
    asks: list[list[str]]
    book: Sides


class Tape(NamedTuple):
    """A recording taken apart: the changes above its image, each with the book that it leads to."""

    listing: RecordedLine
    image: RecordedLine
    changes: tuple[Change, ...]
    states: dict[int, str]

    @property
    def is_um(self) -> bool:
        """Say whether the change that ends at an image's id is applied once more."""
        return "/fapi/" in self.listing.url

    def image_of(self, book: Sides, final: int, after: RecordedLine) -> RecordedLine:
        """Write an image as if it had been fetched right after a line."""
        bids, asks = (
            [book.bids[price] for price in sorted(book.bids, reverse=True)],
            [book.asks[price] for price in sorted(book.asks)],
        )
        said = {"lastUpdateId": final, "bids": bids, "asks": asks}
        return self.image._replace(text=json.dumps(said), at_ns=after.at_ns + 1)

    def played(self, lines: Sequence[RecordedLine]) -> RecordingPlayer:
        """Play edited lines behind the listing, with the patience of a live book."""
        return player(self.listing).play(lines)


def player(listing: RecordedLine) -> RecordingPlayer:
    kind = BinanceFuturesAdapter if "/fapi/" in listing.url else BinanceSpotAdapter
    return RecordingPlayer(kind("wss://anywhere", "https://anywhere", BinanceSettings()), [listing], MANY_OLD_ONES)


def _set(side: dict[Decimal, list[str]], levels: Sequence[list[str]]) -> dict[Decimal, list[str]]:
    touched = side | {Decimal(level[0]): level for level in levels}
    return {price: level for price, level in touched.items() if Decimal(level[1])}


def _changes(lines: Sequence[RecordedLine], image: RecordedLine) -> Iterator[Change]:
    start = json.loads(image.text)
    book = Sides({}, {}).after(start["bids"], start["asks"])
    for line in lines:
        if '"depthUpdate"' not in line.text:
            continue
        said = json.loads(line.text)["data"]
        if said["u"] > start["lastUpdateId"]:
            book = book.after(said["b"], said["a"])
            yield Change(line, said["U"], said.get("pu", said["U"] - 1), said["u"], said["b"], said["a"], book)


@cache
def tape(name: str) -> Tape:
    listing, *lines = HAND_MADE[name]() if name in HAND_MADE else recorded_lines(name)
    (image,) = [line for line in lines if line.via == "http"]
    return Tape(listing, image, tuple(_changes(lines, image)), player(listing).play(lines).states)


def lines_of(changes: Sequence[Change]) -> list[RecordedLine]:
    return [change.line for change in changes]


def differing(tape: Tape, player: RecordingPlayer, changes: Sequence[Change]) -> list[int]:
    """List the ids at which the edited recording's book is another, or was never there."""
    return [change.final for change in changes if player.states.get(change.final) != tape.states[change.final]]


@pytest.mark.parametrize("name", EVERY)
def test_j1_an_image_from_the_middle_of_a_change_takes_all_of_it(name: str) -> None:
    this = tape(name)
    changes = this.changes
    middle = next(
        number
        for number, one in enumerate(changes)
        if number >= 5 and one.previous + 1 < one.final and len(one.bids) + len(one.asks) > 1
    )
    torn = changes[middle]
    book = changes[middle - 1].book.after(torn.bids[:1], [] if torn.bids else torn.asks[:1])
    image = this.image_of(book, torn.final - 1, changes[middle + 2].line)
    buffered, rest = changes[middle - 2 : middle + 3], changes[middle + 3 :]
    player = this.played([*lines_of(buffered), image, *lines_of(rest)])
    assert differing(this, player, changes[middle:]) == []
    tally = player.sync.stats
    assert (tally.applied, tally.stale, tally.gaps, tally.snapshots_too_old) == (len(changes) - middle, 2, 0, 0)


@pytest.mark.parametrize("name", EVERY)
def test_j2_an_image_from_before_the_buffer_is_fetched_again(name: str) -> None:
    this = tape(name)
    changes = this.changes
    old = this.image_of(changes[2].book, changes[2].final, changes[8].line)
    newer = next(one for one in changes[20:] if one.line.at_ns > changes[8].line.at_ns + 1_000_000_000)
    good = changes.index(newer)
    image = this.image_of(changes[good].book, changes[good].final, changes[good].line)
    before, after = changes[6:9], changes[9 : good + 1]
    player = this.played([*lines_of(before), old])
    assert (player.states, player.sync.stats.snapshots_too_old, player.sync.is_live) == ({}, 1, False)
    player.play([*lines_of(after), image, *lines_of(changes[good + 1 :])])
    assert set(player.resync_methods) == {ResyncMethod.FETCH}
    assert len(player.resync_methods) > 1
    assert differing(this, player, changes[good:]) == []
    assert (player.sync.stats.gaps, player.sync.stats.resyncs, player.sync.stats.snapshots) == (0, 0, 1)


@pytest.mark.parametrize("name", EVERY)
def test_j3_an_image_ahead_of_the_buffer_waits_for_what_follows_it(name: str) -> None:
    this = tape(name)
    changes = this.changes
    image = this.image_of(changes[9].book, changes[9].final, changes[7].line)
    player = this.played([*lines_of(changes[3:8]), image])
    assert (player.sync.is_live, player.sync.last_id, player.sync.stats.stale) == (True, changes[9].final, 5)
    player.play(lines_of(changes[8:]))
    assert differing(this, player, changes[9:]) == []
    assert set(player.states) == {one.final for one in changes[9:]}
    tally = player.sync.stats
    # USD-M applies the change that ends at the image's own id once more.
    assert (tally.applied, tally.stale) == (len(changes) - 10 + this.is_um, 7 - this.is_um)
    assert (tally.gaps, tally.snapshots_too_old) == (0, 0)


def twice(changes: Sequence[Change]) -> list[RecordedLine]:
    return [line for line in lines_of(changes) for _ in range(2)]


def again_later(changes: Sequence[Change]) -> list[RecordedLine]:
    return [line for place, one in enumerate(changes) for line in (one.line, changes[max(0, place - 3)].line)]


@pytest.mark.parametrize("repeat", [twice, again_later])
@pytest.mark.parametrize("name", EVERY)
def test_j4_duplicates_change_nothing(name: str, repeat: Callable[[Sequence[Change]], list[RecordedLine]]) -> None:
    this = tape(name)
    changes = this.changes
    image = this.image_of(changes[2].book, changes[2].final, changes[5].line)
    player = this.played([*repeat(changes[:6]), image, *repeat(changes[6:])])
    assert differing(this, player, changes[2:]) == []
    assert set(player.states) == {one.final for one in changes[2:]}
    tally = player.sync.stats
    assert tally.applied == len(changes) - 3 + this.is_um
    assert tally.applied + tally.stale == 2 * len(changes)
    assert (tally.gaps, tally.resyncs, tally.snapshots_too_old) == (0, 0, 0)


@pytest.mark.parametrize("name", EVERY)
def test_a_change_that_is_lost_is_one_gap_and_the_next_image_heals_it(name: str) -> None:
    this = tape(name)
    changes = this.changes
    start = this.image_of(changes[2].book, changes[2].final, changes[3].line)
    image = this.image_of(changes[30].book, changes[30].final, changes[30].line)
    player = this.played([*lines_of(changes[1:4]), start, *lines_of(changes[4:10]), *lines_of(changes[11:13])])
    assert (player.sync.stats.gaps, player.sync.is_live) == (1, False)
    gap = player.sync.gap
    assert gap is not None
    assert (gap.expected, gap.got) == (changes[9].final, changes[11].previous)
    player.play([*lines_of(changes[13:31]), image, *lines_of(changes[31:])])
    assert differing(this, player, [*changes[2:10], *changes[30:]]) == []
    assert (player.sync.stats.gaps, player.sync.stats.resyncs) == (1, 1)
