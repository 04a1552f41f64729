"""Reads a recording in its venue's own words, found out from the recording alone."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from components.contracts.errors import ContractError, DamagedData, IoFailed, UsageError
from components.contracts.values import Symbol, Venue
from components.market_data.core.feed import Data
from components.market_data.core.instruments import Instrument, Kind, Registry
from components.market_data.core.recording import Frame, Via, read_line
from components.market_data.core.rules import Remedy
from components.market_data.venues import addresses
from components.market_data.venues.addresses import (
    ALPACA,
    BINANCE,
    BINANCEUM,
    DERIBIT,
    OKX,
    imaged,
    is_metadata,
    venues_of,
)
from components.market_data.venues.alpaca.dialect import AlpacaCryptoDialect
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.binance.dialect import BinanceDialect, BinanceUmDialect
from components.market_data.venues.binance.settings import BinanceSettings
from components.market_data.venues.deribit.dialect import DeribitDialect
from components.market_data.venues.deribit.settings import DeribitSettings
from components.market_data.venues.dialect import Dialect
from components.market_data.venues.keys import KeyPair
from components.market_data.venues.okx.dialect import OkxDialect
from components.market_data.venues.okx.settings import DepthChannel, OkxSettings
from components.runtime.logs import logger
from components.runtime.secrets import Secret

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A frame of 16 MiB, the most a connection takes, still fits when every byte of it had to be escaped."""

NOWHERE: Final = "recorded://"
"""Nothing is asked while a recording is read."""
_NAMED: Final[Mapping[Venue, re.Pattern[bytes]]] = {
    BINANCE: re.compile(rb'"s"\s*:\s*"([^"\\]{1,64})"'),
    BINANCEUM: re.compile(rb'"s"\s*:\s*"([^"\\]{1,64})"'),
    OKX: re.compile(rb'"instId"\s*:\s*"([^"\\]{1,64})"'),
    ALPACA: re.compile(rb'"S"\s*:\s*"([^"\\]{1,64})"'),
    DERIBIT: re.compile(rb'"instrument_name"\s*:\s*"([^"\\]{1,64})"'),
}
_OKX_BOOK: Final = re.compile(rb'"channel"\s*:\s*"(books[\w-]{0,20}|bbo-tbt)"')


class Recording:
    """The frames of some files that follow each other; each look at them reads the files anew."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.name = ", ".join(map(str, paths))
        self._paths = paths
        for path in paths:
            if path.is_dir():
                raise UsageError(f"{path}: a folder; name its files")
            if not path.is_file():
                raise UsageError(f"{path}: no such file")

    def __iter__(self) -> Iterator[Frame]:
        """Read every frame, in order of receipt; DamagedData where there is none at all."""
        is_empty = True
        for path in self._paths:
            for frame in _frames_of(path):
                is_empty = False
                yield frame
        if is_empty:
            raise DamagedData(f"{self.name}: holds no frame")


def _frames_of(path: Path) -> Iterator[Frame]:
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(LINE_BYTES_MAX):
                number += 1
                if not line.strip():
                    continue
                try:
                    yield read_line(line, str(path), number)
                except DamagedData:
                    # Whoever wrote it was stopped in the middle of its last line: all before that is whole.
                    if line.endswith(b"\n") or number == 1:
                        raise
                    logger().warning("torn_tail_left_out", file=str(path), line=number)
    except OSError as error:
        raise IoFailed(f"{path}: {error.strerror or error}") from error


class Reader:
    """A venue's dialect, and the instruments that a recording itself tells of."""

    def __init__(self, dialect: Dialect, instruments: Iterable[Instrument]) -> None:
        self.dialect, self.registry = dialect, Registry(instruments)
        self._joins = Remedy.FETCH in (dialect.rule.remedy, dialect.rule.fallback)
        dialect.learn(self.registry)

    def read(self, frame: Frame) -> Sequence[Data]:
        """Read one frame; an answer is an image of a book, or nothing."""
        if frame.via is Via.STREAM:
            return self.dialect.read(frame.text, frame.at_ns).data
        native = imaged(frame.via, frame.url) if self._joins else None
        instrument = self.registry.by_native.get(native) if native is not None else None
        if instrument is None:
            return ()
        try:
            return (self.dialect.read_image(instrument.symbol, frame.text, frame.at_ns),)
        except ContractError:  # the venue's refusal was recorded too; an image it is not
            return ()


class Survey:
    """What a first look at all frames of a recording tells."""

    def __init__(self, frames: Iterable[Frame], name: str) -> None:
        """Look at everything once, but into frames of a stream only for names."""
        urls: dict[str, None] = {}
        self.metadata: list[bytes] = []
        self._frames = frames
        for frame in frames:
            urls[frame.url] = None
            if is_metadata(frame.via, frame.url):
                self.metadata.append(frame.text)
        venues = venues_of(urls)
        if len(venues) != 1:
            raise DamagedData(f"{name}: is of {', '.join(venues) or 'no venue that is known here'}; one is wanted")
        self.venue = venues[0]

    def named(self) -> list[str]:
        """Give the native names that occur, in order."""
        named: dict[str, None] = {}
        find = _NAMED[self.venue].findall
        for frame in self._frames:
            if frame.via is Via.STREAM:
                named.update((native.decode(errors="replace"), None) for native in find(frame.text))
            elif native := imaged(frame.via, frame.url):
                named[native] = None
        return list(named)

    def okx_channel(self) -> DepthChannel:
        """Give the best channel of books that occurs."""
        texts = (frame.text for frame in self._frames if frame.via is Via.STREAM)
        found = {name.decode() for text in texts for name in _OKX_BOOK.findall(text)}
        return next((channel for channel in DepthChannel if channel in found), DepthChannel.BOOKS)


def read_recording(recording: Recording) -> Reader:
    """Find out what a recording is written in: its venue by its addresses, its instruments by its own metadata."""
    survey = Survey(recording, recording.name)
    dialect, named = dialect_for(survey), survey.named()
    listed = {one.native: one for body in survey.metadata for one in _read_instruments(dialect, body)}
    known = [listed[native] for native in named if native in listed]
    # Without its metadata a recording still has its books, by their native names.
    return Reader(dialect, known or [_unlisted(dialect.venue, native) for native in named])


def dialect_for(survey: Survey) -> Dialect:
    """Make the dialect that a recording is read by."""
    match survey.venue:
        case addresses.BINANCE:
            return BinanceDialect(NOWHERE, NOWHERE, BinanceSettings())
        case addresses.BINANCEUM:
            return BinanceUmDialect(NOWHERE, NOWHERE, BinanceSettings())
        case addresses.OKX:
            return OkxDialect(NOWHERE, NOWHERE, OkxSettings(depth_channel=survey.okx_channel()))
        case addresses.ALPACA:
            nobody = KeyPair(Secret(b""), Secret(b""))
            return AlpacaCryptoDialect(NOWHERE, NOWHERE, CryptoSettings(), nobody)
        case _:
            return DeribitDialect(NOWHERE, NOWHERE, DeribitSettings())


def _read_instruments(dialect: Dialect, body: bytes) -> list[Instrument]:
    try:
        return dialect.read_instruments((body,))
    except ContractError:
        return []


def _unlisted(venue: Venue, native: str) -> Instrument:
    nothing = Decimal(0)
    return Instrument(
        venue=venue,
        symbol=Symbol(native),
        native=native,
        kind=Kind.SPOT,
        base=native,
        quote="",
        settle="",
        tick=nothing,
        lot=nothing,
    )
