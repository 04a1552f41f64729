"""The recordings that the project ships, generated, each with the result that its venue's rules imply."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.project import ROOT
from tests.support.synthetic_recordings import RecordedLine, Recording, binance_spot, binance_um, deribit, okx

FOLDER = ROOT / "tests" / "recordings"
UPDATES = 70
"""Few enough that each file stays below 60 kB."""
QUIET_AFTER, RESET_AT, RESET_TO = (20, 55), 40, 7


class ShippedRecording(NamedTuple):
    """One file, and the expected states of the book in it."""

    venue: str
    symbol: str
    native: str
    recording: Recording
    states: tuple[str, ...]
    """The canonical top 10 at the snapshot, and after each update that advanced the id."""
    books: tuple[str, ...]
    """The same after every update that was applied, for consumers that publish them all."""

    @property
    def path(self) -> Path:
        """The file, named as the recorder would."""
        began = datetime.fromtimestamp(self.recording.lines[0].at_ns // 10**9, UTC)
        return FOLDER / f"{self.venue}_{began:%Y%m%dT%H%M%S}_1.jsonl"

    def expected_report(self) -> dict[str, Any]:
        """Return the report that a correct implementation produces."""
        last = json.loads(self.books[-1])
        hashes = [sha256(state.encode()).hexdigest() for state in self.states]
        return {
            "venue": self.venue,
            "symbol": self.symbol,
            "frames": len(list(_book_frames(self.recording.lines))),
            "applied": self.recording.applied,
            "stale": self.recording.stale,
            "gaps": 0,
            "crossed": 0,
            "best_bid": last["bids"][0],
            "best_ask": last["asks"][0],
            "sha256_top10": sha256(self.books[-1].encode()).hexdigest(),
            "sha256_chain_top10": sha256("\n".join(hashes).encode()).hexdigest(),
        }


def shipped_recordings() -> tuple[ShippedRecording, ...]:
    """Generate every recording; the same each time."""
    return (
        _plain("BINANCE", "BINANCE:BTC-USDT", "BTCUSDT", binance_spot(changes=UPDATES)),
        _plain("BINANCEUM", "BINANCEUM:BTC-USDT-PERP", "BTCUSDT", binance_um(changes=UPDATES)),
        _renumbered(okx(changes=UPDATES, has_checksums=True)),
        _plain("DERIBIT", "DERIBIT:BTC-USD-PERP", "BTC-PERPETUAL", deribit(changes=UPDATES)),
    )


def _plain(venue: str, symbol: str, native: str, recording: Recording) -> ShippedRecording:
    states = tuple(recording.expected_tops.values())
    return ShippedRecording(venue, symbol, native, recording, states, states)


def _renumbered(recording: Recording) -> ShippedRecording:
    """Insert two keep-alives of OKX without changes, and let its ids restart in between."""
    lines: list[RecordedLine] = []
    states, books = [], []
    shift, number, tops = 0, 0, iter(recording.expected_tops.items())
    for line in recording.lines:
        message = json.loads(line.text)
        row = message["data"][0] if "action" in message else None
        if row is None:
            lines.append(line)
            continue
        final, book = next(tops)
        books.append(book)
        if number != RESET_AT:
            states.append(book)
        row["prevSeqId"] -= shift if number else 0
        shift = final - RESET_TO if number == RESET_AT else shift
        row["seqId"] = final - shift
        lines.append(_with_text(line, message))
        if number in QUIET_AFTER:
            row |= {"asks": [], "bids": [], "prevSeqId": row["seqId"]}
            lines.append(_with_text(line._replace(at_ns=line.at_ns + 1), message))
        number += 1
    applied = recording.applied + len(QUIET_AFTER)
    made = recording._replace(lines=tuple(lines), applied=applied)
    return ShippedRecording("OKX", "OKX:BTC-USDT-PERP", "BTC-USDT-SWAP", made, tuple(states), tuple(books))


def _with_text(line: RecordedLine, message: object) -> RecordedLine:
    return line._replace(text=json.dumps(message, separators=(",", ":")))


def _book_frames(lines: tuple[RecordedLine, ...]) -> Iterator[RecordedLine]:
    for line in lines:
        is_book = "depthUpdate" in line.text or '"action":' in line.text or '"channel":"book.' in line.text
        if line.via == "ws" and is_book:
            yield line
