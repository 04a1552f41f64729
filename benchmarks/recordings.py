"""The recordings on which books are measured: real ones where there are any, else those that the project ships."""

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

RECORDINGS_VARIABLE: Final = "XTRADER_RECORDINGS"
PROJECT: Final = Path(__file__).resolve().parents[1]
SHIPPED_FOLDER: Final = PROJECT / "tests" / "recordings"


def real_recordings_folder() -> Path | None:
    """Return the folder that the variable names, else the one beside the project; None where there is none."""
    named = os.environ.get(RECORDINGS_VARIABLE)
    folder = Path(named) if named else PROJECT.parent / "shared" / "recordings"
    return folder if folder.is_dir() else None


class MeasuredRecording:
    """One recording and its frames."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        self.venue = Venue(path.stem.partition("_")[0])
        self.recording = Recording([path])
        self.frames = list(self.recording)

    @cached_property
    def streamed(self) -> list[Frame]:
        """The frames that were received on a stream, without those that were fetched."""
        return [frame for frame in self.frames if frame.via is Via.STREAM]

    def reader(self) -> RecordingReader:
        """Return a new reader."""
        return open_recording(self.recording)

    def decoded(self) -> tuple[DepthSnapshot, list[DepthUpdate]]:
        """Return the book's snapshot and the updates after it, in objects that are used for the first time."""
        reader = self.reader()
        data: list[MarketEvent] = [datum for frame in self.frames for datum in reader.decode(frame)]
        snapshot = next(datum for datum in data if isinstance(datum, DepthSnapshot))
        updates = [datum for datum in data if isinstance(datum, DepthUpdate)]
        return snapshot, [one for one in updates if one.last_id > snapshot.last_id or one.last_id == one.prev_id]


def recordings_of(venue: str) -> list[MeasuredRecording]:
    """Return the recordings of one venue."""
    return [MeasuredRecording(path) for path in sorted(_folder().glob(f"{venue}_*.jsonl"))]


def recording_kind() -> str:
    """Return what was measured: recorded or generated frames."""
    return "recorded" if real_recordings_folder() else "hand-made"


def subscribed_synchronizer(instrument: Instrument, adapter: VenueAdapter, at_ns: int) -> BookSynchronizer:
    """Return a synchronizer as it is right after a subscription."""
    book = BookSynchronizer(instrument.symbol, adapter.sequence_rule, SyncLimits(), at_ns, lambda: 0.0)
    book.on_subscribed(at_ns, pushes_snapshot=adapter.pushes_snapshot)
    return book


def _folder() -> Path:
    return real_recordings_folder() or SHIPPED_FOLDER
