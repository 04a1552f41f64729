"""Replays a recording of one instrument through an adapter and the synchronizer, and stores every state on the way."""

from collections.abc import Iterable, Sequence

from components.market_data.core.book.sequencing import ResyncMethod
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncLimits
from components.market_data.core.events import DepthSnapshot, DepthUpdate, MarketEvent
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import VenueAdapter
from components.market_data.venues.recording.verify import StateFingerprint, top_fingerprint
from tests.support.real_recordings import real_recordings
from tests.support.synthetic_recordings import RecordedLine, parse_lines

OFFLINE_LIMITS = SyncLimits(ignore_timeouts=True)


class RecordingPlayer:
    """One book, as its recording makes it."""

    def __init__(
        self, adapter: VenueAdapter, listings: Sequence[RecordedLine], limits: SyncLimits = OFFLINE_LIMITS
    ) -> None:
        """Load the instruments from the recorded responses; the first is the one that is replayed."""
        instruments = adapter.decode_instruments([line.text.encode() for line in listings])
        adapter.set_instruments(InstrumentRegistry(instruments))
        self.adapter, self.symbol = adapter, instruments[0].symbol
        self.sync = BookSynchronizer(self.symbol, adapter.sequence_rule, limits, listings[0].at_ns, lambda: 0.5)
        self.sync.observer = self._see
        self.sync.on_subscribed(listings[0].at_ns, pushes_snapshot=adapter.pushes_snapshot)
        self.states: dict[int, str] = {}
        self.resync_methods: list[ResyncMethod] = []
        self.other_data: list[MarketEvent] = []
        self._fingerprint = StateFingerprint()

    @property
    def fingerprint(self) -> str:
        """The hash over all states."""
        return self._fingerprint.hexdigest()

    def play(self, lines: Iterable[RecordedLine]) -> "RecordingPlayer":
        """Replay what follows the instruments."""
        for line in lines:
            method = self.sync.next_resync(line.at_ns)
            self.resync_methods += [method] if method else []
            frame = line.text.encode()
            if line.via == "http":
                self.sync.apply_snapshot(self.adapter.decode_snapshot(self.symbol, frame, line.at_ns), self.sync.epoch)
                continue
            for datum in self.adapter.decode(frame, line.at_ns).data:
                self._take(datum)
        return self

    def _take(self, datum: MarketEvent) -> None:
        match datum:
            case DepthUpdate():
                self.sync.apply_update(datum)
            case DepthSnapshot():
                self.sync.apply_snapshot(datum)
            case _:
                self.other_data.append(datum)

    def _see(self, *, advanced: bool) -> None:
        state = top_fingerprint(self.sync.book)
        self.states[self.sync.last_id] = state
        if advanced:
            self._fingerprint.add(state)


def recorded_lines(name: str) -> tuple[RecordedLine, ...]:
    """Return the lines of a real venue's recording, for a test that has the marker `recordings`."""
    return parse_lines(real_recordings()[name].read_text())
