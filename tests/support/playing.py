"""Plays a recording of one instrument through a dialect and the synchroniser, and keeps every state on the way."""

from collections.abc import Iterable, Sequence

from components.market_data.core.canon import Chain, hash_top
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import Data
from components.market_data.core.instruments import Registry
from components.market_data.core.rules import Remedy
from components.market_data.core.synchroniser import Synchroniser, SyncPatience
from components.market_data.venues.dialect import Dialect
from tests.support.real_recordings import real_recordings
from tests.support.recordings import Line, lines_of

PATIENT = SyncPatience(is_patient=True)


class Player:
    """One book, as its recording makes it."""

    def __init__(self, dialect: Dialect, listings: Sequence[Line], patience: SyncPatience = PATIENT) -> None:
        """Learn the instruments from the recorded answers; the first is the one that is played."""
        instruments = dialect.read_instruments([line.text.encode() for line in listings])
        dialect.learn(Registry(instruments))
        self.dialect, self.symbol = dialect, instruments[0].symbol
        self.sync = Synchroniser(self.symbol, dialect.rule, patience, listings[0].at_ns, lambda: 0.5)
        self.sync.seen = self._see
        self.sync.subscribed(listings[0].at_ns, pushes_image=dialect.pushes_image)
        self.states: dict[int, str] = {}
        self.remedies: list[Remedy] = []
        self.others: list[Data] = []
        self._chain = Chain()

    @property
    def chain(self) -> str:
        """Give the hash over all states."""
        return self._chain.hash()

    def play(self, lines: Iterable[Line]) -> "Player":
        """Play what follows the listing."""
        for line in lines:
            remedy = self.sync.due(line.at_ns)
            self.remedies += [remedy] if remedy else []
            frame = line.text.encode()
            if line.via == "http":
                self.sync.load(self.dialect.read_image(self.symbol, frame, line.at_ns), self.sync.epoch)
                continue
            for datum in self.dialect.read(frame, line.at_ns).data:
                self._take(datum)
        return self

    def _take(self, datum: Data) -> None:
        match datum:
            case DepthChange():
                self.sync.take(datum)
            case DepthImage():
                self.sync.load(datum)
            case _:
                self.others.append(datum)

    def _see(self, *, advanced: bool) -> None:
        state = hash_top(self.sync.depth)
        self.states[self.sync.current] = state
        if advanced:
            self._chain.add(state)


def recorded(name: str) -> tuple[Line, ...]:
    """Read a real venue's recording, for a test that carries the marker `recordings`."""
    return lines_of(real_recordings()[name].read_text())
