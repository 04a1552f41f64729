"""Reads recordings; the venue and its instruments are detected from the recorded frames alone."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from components.contracts.errors import CorruptData, ProtocolError, StorageError, UsageError
from components.contracts.values import Symbol, Venue
from components.market_data.core.book.sequencing import ResyncMethod
from components.market_data.core.events import MarketEvent
from components.market_data.core.instruments import Instrument, InstrumentRegistry, InstrumentType
from components.market_data.core.recording import Frame, Via, decode_line
from components.market_data.venues.adapter import VenueAdapter
from components.market_data.venues.okx.requests import DepthChannel
from components.market_data.venues.registry import (
    ALPACA,
    BINANCE,
    BINANCEUM,
    DERIBIT,
    OKX,
    detect_venues,
    is_metadata,
    offline_adapter,
    snapshot_symbol,
)
from components.runtime.logs import logger

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A frame of 16 MiB, the maximum of a connection, fits even if every byte is escaped."""
_SYMBOL_PATTERNS: Final[Mapping[Venue, re.Pattern[bytes]]] = {
    BINANCE: re.compile(rb'"s"\s*:\s*"([^"\\]{1,64})"'),
    BINANCEUM: re.compile(rb'"s"\s*:\s*"([^"\\]{1,64})"'),
    OKX: re.compile(rb'"instId"\s*:\s*"([^"\\]{1,64})"'),
    ALPACA: re.compile(rb'"S"\s*:\s*"([^"\\]{1,64})"'),
    DERIBIT: re.compile(rb'"instrument_name"\s*:\s*"([^"\\]{1,64})"'),
}
_OKX_BOOK_CHANNEL: Final = re.compile(rb'"channel"\s*:\s*"(books[\w-]{0,20}|bbo-tbt)"')


class Recording:
    """The frames of consecutive files; each iteration reads the files again."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = ", ".join(map(str, paths))
        self._paths = paths
        for path in paths:
            if path.is_dir():
                raise UsageError(f"{path}: is a directory; name its files")
            if not path.is_file():
                raise UsageError(f"{path}: no such file")

    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame in order of receipt; raise CorruptData if there is none."""
        is_empty = True
        for path in self._paths:
            for frame in _read_frames(path):
                is_empty = False
                yield frame
        if is_empty:
            raise CorruptData(f"{self.name}: contains no frame")


def _read_frames(path: Path) -> Iterator[Frame]:
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(LINE_BYTES_MAX):
                number += 1
                if not line.strip():
                    continue
                try:
                    yield decode_line(line, str(path), number)
                except CorruptData:
                    # The writer was stopped within its last line; everything before it is complete.
                    if line.endswith(b"\n") or number == 1:
                        raise
                    logger().warning("torn_tail_skipped", file=str(path), line=number)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error


class RecordingReader:
    """A venue's adapter with the instruments of one recording."""

    def __init__(self, adapter: VenueAdapter, instruments: Iterable[Instrument]) -> None:
        self.adapter, self.registry = adapter, InstrumentRegistry(instruments)
        self._uses_fetched_snapshots = ResyncMethod.FETCH in (
            adapter.sequence_rule.resync_method,
            adapter.sequence_rule.fallback_method,
        )
        adapter.set_instruments(self.registry)

    def decode(self, frame: Frame) -> Sequence[MarketEvent]:
        """Decode one frame; an HTTP response is a book snapshot or nothing."""
        if frame.via is Via.STREAM:
            return self.adapter.decode(frame.text, frame.at_ns).data
        venue_symbol = snapshot_symbol(frame.via, frame.url) if self._uses_fetched_snapshots else None
        instrument = self.registry.by_venue_symbol.get(venue_symbol) if venue_symbol is not None else None
        if instrument is None:
            return ()
        try:
            return (self.adapter.decode_snapshot(instrument.symbol, frame.text, frame.at_ns),)
        except ProtocolError:  # a recorded error response of the venue is no snapshot
            return ()


class RecordingSummary:
    """What a first pass over all frames of a recording shows."""

    def __init__(self, frames: Iterable[Frame], name: str) -> None:
        """Read every frame once and detect the venue by its URLs."""
        urls: dict[str, None] = {}
        self.metadata: list[bytes] = []
        self._frames = frames
        for frame in frames:
            urls[frame.url] = None
            if is_metadata(frame.via, frame.url):
                self.metadata.append(frame.text)
        venues = detect_venues(urls)
        if len(venues) != 1:
            raise CorruptData(
                f"{name}: contains frames of {', '.join(venues) or 'no known venue'}, but must be of exactly one venue"
            )
        self.venue = venues[0]

    def venue_symbols(self) -> list[str]:
        """Return the venue symbols that occur, in order."""
        symbols: dict[str, None] = {}
        find = _SYMBOL_PATTERNS[self.venue].findall
        for frame in self._frames:
            if frame.via is Via.STREAM:
                symbols.update((venue_symbol.decode(errors="replace"), None) for venue_symbol in find(frame.text))
            elif venue_symbol := snapshot_symbol(frame.via, frame.url):
                symbols[venue_symbol] = None
        return list(symbols)

    def okx_channel(self) -> DepthChannel:
        """Return the best book channel that occurs."""
        texts = (frame.text for frame in self._frames if frame.via is Via.STREAM)
        found = {name.decode() for text in texts for name in _OKX_BOOK_CHANNEL.findall(text)}
        return next((channel for channel in DepthChannel if channel in found), DepthChannel.BOOKS)


def open_recording(recording: Recording) -> RecordingReader:
    """Return a reader for a recording: its venue by its URLs, its instruments by its own metadata."""
    summary = RecordingSummary(recording, recording.name)
    adapter, symbols = offline_adapter(summary.venue, summary.okx_channel), summary.venue_symbols()
    listed = {one.venue_symbol: one for body in summary.metadata for one in _decode_instruments(adapter, body)}
    instruments = [listed[venue_symbol] for venue_symbol in symbols if venue_symbol in listed]
    # A recording without metadata still has its books, under their venue symbols.
    return RecordingReader(
        adapter, instruments or [_unlisted_instrument(adapter.venue, venue_symbol) for venue_symbol in symbols]
    )


def _decode_instruments(adapter: VenueAdapter, body: bytes) -> list[Instrument]:
    try:
        return adapter.decode_instruments((body,))
    except ProtocolError:
        return []


def _unlisted_instrument(venue: Venue, venue_symbol: str) -> Instrument:
    nothing = Decimal(0)
    return Instrument(
        venue=venue,
        symbol=Symbol(venue_symbol),
        venue_symbol=venue_symbol,
        instrument_type=InstrumentType.SPOT,
        base=venue_symbol,
        quote="",
        settle="",
        tick=nothing,
        lot=nothing,
    )
