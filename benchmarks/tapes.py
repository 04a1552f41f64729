"""The recordings on which books are measured: real ones where there are any, else the project's own."""

from functools import cached_property
from pathlib import Path
from typing import Final

from components.contracts.values import Venue
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import Data
from components.market_data.core.instruments import Instrument
from components.market_data.core.recording import Frame, Via
from components.market_data.core.synchroniser import Synchroniser, SyncPatience
from components.market_data.venues.dialect import Dialect
from components.market_data.venues.recorded import Reader, Recording, read_recording
from tests.support.real_recordings import real_folder

OWN: Final = Path(__file__).resolve().parents[1] / "tests" / "recordings"
BOOKS: Final = (b'"depthUpdate"', b'"action":', b'"channel":"book.')


class Tape:
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
    def are_of_books(self) -> list[bool]:
        """Say of each streamed frame whether it is about a book, and not a quote or a trade."""
        return [any(word in frame.text for word in BOOKS) for frame in self.streamed]

    def reader(self) -> Reader:
        """Make a reader that has read nothing yet."""
        return read_recording(self.recording)

    def decoded(self) -> tuple[DepthImage, list[DepthChange]]:
        """Decode the book's image and the changes behind it, in objects that nobody has touched yet."""
        reader = self.reader()
        data: list[Data] = [datum for frame in self.frames for datum in reader.read(frame)]
        image = next(datum for datum in data if isinstance(datum, DepthImage))
        changes = [datum for datum in data if isinstance(datum, DepthChange)]
        return image, [one for one in changes if one.final > image.final or one.final == one.previous]


def tapes(venue: str) -> list[Tape]:
    """Give the recordings of one venue."""
    return [Tape(path) for path in sorted(_folder().glob(f"{venue}_*.jsonl"))]


def of_what() -> str:
    """Say what was measured on."""
    return "recorded" if real_folder() else "hand-made"


def begin(instrument: Instrument, dialect: Dialect, at_ns: int) -> Synchroniser:
    """Begin a book as a line does that was just subscribed."""
    book = Synchroniser(instrument.symbol, dialect.rule, SyncPatience(), at_ns, lambda: 0.0)
    book.subscribed(at_ns, pushes_image=dialect.pushes_image)
    return book


def _folder() -> Path:
    return real_folder() or OWN
