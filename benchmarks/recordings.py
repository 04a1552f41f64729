"""The recordings on which books are measured: real ones where there are any, else the project's own."""

import os
from functools import cached_property
from pathlib import Path
from typing import Final

from components.contracts.values import Venue
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncLimits
from components.market_data.core.events import DepthSnapshot, DepthUpdate, MarketEvent
from components.market_data.core.instruments import Instrument
from components.market_data.core.recording import Frame, Via
from components.market_data.venues.adapter import VenueAdapter
from components.market_data.venues.recording.reader import Recording, RecordingReader, open_recording
from tests.support.project import ROOT

SHIPPED_FOLDER: Final = Path(__file__).resolve().parents[1] / "tests" / "recordings"


BOOK_FRAME_MARKS: Final = (b'"depthUpdate"', b'"action":', b'"channel":"book.')


class MeasuredRecording:
    """One recording and what is said in it."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        self.venue = Venue(path.stem.partition("_")[0])
        self.recording = Recording([path])
        self.frames = list(self.recording)

    @cached_property
    def streamed(self) -> list[Frame]:
        """Leave out what was fetched."""
        return [frame for frame in self.frames if frame.via is Via.STREAM]

    @cached_property
    def is_book_frame(self) -> list[bool]:
        """Say of each streamed frame whether it is about a book, and not a quote or a trade."""
        return [any(word in frame.text for word in BOOK_FRAME_MARKS) for frame in self.streamed]

    def reader(self) -> RecordingReader:
        """Make a reader that has read nothing yet."""
        return open_recording(self.recording)

    def decoded(self) -> tuple[DepthSnapshot, list[DepthUpdate]]:
        """Decode the book's image and the changes behind it, in objects that nobody has touched yet."""
        reader = self.reader()
        data: list[MarketEvent] = [datum for frame in self.frames for datum in reader.decode(frame)]
        image = next(datum for datum in data if isinstance(datum, DepthSnapshot))
        changes = [datum for datum in data if isinstance(datum, DepthUpdate)]
        return image, [one for one in changes if one.last_id > image.last_id or one.last_id == one.prev_id]


def recordings_of(venue: str) -> list[MeasuredRecording]:
    """Give the recordings of one venue."""
    return [MeasuredRecording(path) for path in sorted(_folder().glob(f"{venue}_*.jsonl"))]


def recording_kind() -> str:
    """Say what was measured on."""
    return "recorded" if real_recordings_folder() else "hand-made"


def subscribed_synchronizer(instrument: Instrument, dialect: VenueAdapter, at_ns: int) -> BookSynchronizer:
    """Begin a book as a line does that was just subscribed."""
    book = BookSynchronizer(instrument.symbol, dialect.sequence_rule, SyncLimits(), at_ns, lambda: 0.0)
    book.on_subscribed(at_ns, pushes_snapshot=dialect.pushes_snapshot)
    return book


def _folder() -> Path:
    return real_recordings_folder() or SHIPPED_FOLDER


RECORDINGS_VARIABLE = "XTRADER_RECORDINGS"


def real_recordings_folder() -> Path | None:
    """Find the folder: the one that is named, else the one that lies beside the project."""
    named = os.environ.get(RECORDINGS_VARIABLE)  # noqa: TID251 -- it says where the tests' data are, not how the system behaves
    folder = Path(named) if named else ROOT.parent / "shared" / "recordings"
    return folder if folder.is_dir() else None
