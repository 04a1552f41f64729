"""From raw text to the top 10 of a synchronised book, compared with cryptofeed on the same frames."""

import re
from collections.abc import Callable, Iterable, Sequence
from statistics import mean, quantiles
from time import perf_counter_ns
from typing import Any, Final, NamedTuple

from benchmarks.peers import environment
from benchmarks.recordings import MeasuredRecording, recording_kind, recordings_of, subscribed_synchronizer
from components.market_data.core.book.synchronizer import SyncLimits
from components.market_data.core.events import (
    BookStreamUp,
    DecodedFrame,
    DepthSnapshot,
    DepthUpdate,
    FeedUp,
    FetchSnapshot,
    InstrumentsLoaded,
)
from components.market_data.core.recording import Frame, Via
from components.market_data.service.market_data import MarketDataService
from components.market_data.service.order_books import OrderBookService, VenueBookSettings
from components.market_data.venues.recording.reader import RecordingReader
from components.market_data.venues.registry import is_metadata
from components.runtime.metrics import Metrics
from components.runtime.service import CallVenue, Effects, VenueCallCompleted, VenueEvent

Row = dict[str, Any]
ROUNDS = 30
TURNS = 3
"""Ours and theirs are measured in turn, so that the load of the machine affects both."""
FASTER_MIN: Final = {"BINANCE": None, "BINANCEUM": 2.0, "OKX": 1.8, "DERIBIT": 1.8}
DELTA_P99_US_MAX: Final = 50
PARSE_P95_US_MAX: Final = 20
TRANSFORM_P95_US_MAX: Final = 15
TOP: Final = 10
ORDINARY_BYTES_MAX: Final = 512
CHECKSUM: Final = re.compile(rb'"checksum":-?\d+')
SMOKE: Final = {"ROUNDS": 2, "TURNS": 1}


class FrameTimes(NamedTuple):
    """The nanoseconds of each streamed frame, and which frames carried an update or a snapshot of a book."""

    total: list[int]
    parse: list[int]
    updates: list[bool]
    snapshots: list[bool]


def rows() -> list[Row]:
    """Compare by venue, then measure each stage."""
    found = {
        venue: [_compare(recording, validates=False) for recording in recordings_of(venue)] for venue in FASTER_MIN
    }
    samples = [span for pairs in found.values() for pair in pairs for span in pair.samples]
    p99 = _bounded(
        f"raw text to top 10, all venues ({recording_kind()}), p99 of an update", _p99(samples), DELTA_P99_US_MAX
    )
    compared = [row for venue, pairs in found.items() for row in _faster(venue, "", pairs)]
    verified = [_compare(recording, validates=True) for recording in recordings_of("OKX")]
    stages = [row for venue in FASTER_MIN for row in _stages(venue)]
    return [*compared, *_faster("OKX", ", a live checksum verified by both", verified), p99, *stages]


class ComparedTimes(NamedTuple):
    """The fastest time of each frame: ours, cryptofeed's, and cryptofeed's with its top 10 read."""

    ours: list[int]
    theirs: list[int]
    theirs_read: list[int]
    samples: list[int]
    updates: list[bool]
    snapshots: list[bool]


def _compare(recording: MeasuredRecording, *, validates: bool) -> ComparedTimes:
    frames = recording.frames if validates else [_without_checksum(frame) for frame in recording.frames]
    ours: list[FrameTimes] = []
    theirs: dict[bool, list[list[int]]] = {False: [], True: []}
    for _ in range(TURNS):
        ours += [_round(recording, frames) for _ in range(ROUNDS)]
        for reads_top in theirs:
            request = _peer_request(recording, frames, reads_top=reads_top, validates=validates)
            theirs[reads_top] += environment.run("cryptofeed_handler", request)["rounds"]
    return ComparedTimes(
        _least([spans.total for spans in ours]),
        _least(theirs[False]),
        _least(theirs[True]),
        [span for spans in ours for span, is_change in zip(spans.total, spans.updates, strict=True) if is_change],
        ours[0].updates,
        ours[0].snapshots,
    )


def _without_checksum(frame: Frame) -> Frame:
    """Return the frame as the venue sends it today: its checksums are always 0."""
    return Frame(frame.at_ns, frame.via, frame.url, CHECKSUM.sub(b'"checksum":0', frame.text))


def _peer_request(
    recording: MeasuredRecording, frames: Sequence[Frame], *, reads_top: bool, validates: bool
) -> dict[str, Any]:
    fetched = [frame for frame in frames if frame.via is Via.RESPONSE]
    metadata = [frame.text.decode() for frame in fetched if is_metadata(frame.via, frame.url)]
    snapshots = [frame.text.decode() for frame in fetched if not is_metadata(frame.via, frame.url)]
    return {
        "venue": recording.venue,
        "metadata": metadata,
        "snapshot": snapshots[0] if snapshots else "",
        "texts": [frame.text.decode() for frame in frames if frame.via is Via.STREAM],
        "rounds": ROUNDS,
        "reads_top": reads_top,
        "validates": validates,
    }


def _round(recording: MeasuredRecording, frames: Sequence[Frame]) -> FrameTimes:
    reader = recording.reader()
    adapter, spans = reader.adapter, FrameTimes([], [], [], [])
    (instrument,) = reader.registry
    book = subscribed_synchronizer(instrument, adapter, frames[0].at_ns)
    read, take, load, top = adapter.decode, book.apply_update, book.apply_snapshot, book.book.top
    for frame in frames:
        if frame.via is Via.RESPONSE:
            _load(reader, frame, load)
            continue
        began = perf_counter_ns()
        data = read(frame.text, frame.at_ns).data
        for datum in data:
            if type(datum) is DepthUpdate:
                take(datum)
                top(TOP)
            elif type(datum) is DepthSnapshot:
                load(datum)
                top(TOP)
        spans.total.append(perf_counter_ns() - began)
        spans.updates.append(any(isinstance(datum, DepthUpdate) for datum in data))
        spans.snapshots.append(any(isinstance(datum, DepthSnapshot) for datum in data))
    if not book.is_live or book.stats.gaps:
        raise RuntimeError(f"{recording.name} did not stay in sync: {book.reason}")
    return spans


def _load(reader: RecordingReader, frame: Frame, load: Callable[[DepthSnapshot], object]) -> None:
    for datum in reader.decode(frame):
        if isinstance(datum, DepthSnapshot):
            load(datum)


def _least(rounds: Iterable[list[int]]) -> list[int]:
    return [min(spans) for spans in zip(*rounds, strict=True)]


def _faster(venue: str, how: str, found: Sequence[ComparedTimes]) -> list[Row]:
    name, bound = f"raw text to top 10, {venue} ({recording_kind()}){how}", FASTER_MIN[venue]
    ours, theirs, read = (mean(_of_changes(found, part)) for part in ("ours", "theirs", "theirs_read"))
    samples = [span for pair in found for span in pair.samples]
    snapshots = _of_snapshots(found, "ours"), _of_snapshots(found, "theirs_read")
    return [
        _ratio(f"{name}, an update; cryptofeed with its top 10 read", ours, read, bound=bound),
        _ratio(f"{name}, an update; cryptofeed with nothing read of its book", ours, theirs, bound=None),
        _ratio(f"{name}, every frame; cryptofeed with its top 10 read", *_of_all(found), bound=None),
        *(
            [_ratio(f"{name}, a snapshot; cryptofeed with its top 10 read", *snapshots, bound=None)]
            if snapshots[0]
            else []
        ),
        _measured(f"{name}, p99 of an update", _p99(samples)),
    ]


def _of_changes(found: Sequence[ComparedTimes], part: str) -> list[float]:
    """Return the microseconds of each update but the first, with which cryptofeed fetches its snapshot."""
    spans: list[float] = []
    for pair in found:
        mine = [span / 1e3 for span, is_one in zip(getattr(pair, part), pair.updates, strict=True) if is_one]
        spans += mine[1:]
    return spans


def _of_snapshots(found: Sequence[ComparedTimes], part: str) -> float:
    spans = [
        span / 1e3 for pair in found for span, is_one in zip(getattr(pair, part), pair.snapshots, strict=True) if is_one
    ]
    return mean(spans) if spans else 0.0


def _of_all(found: Sequence[ComparedTimes]) -> tuple[float, float]:
    """Return the mean of every frame but snapshots and the first update: quotes, trades and the rest."""
    ours: list[int] = []
    theirs: list[int] = []
    for pair in found:
        first = pair.updates.index(True)
        for number, is_snapshot in enumerate(pair.snapshots):
            if number != first and not is_snapshot:
                ours.append(pair.ours[number])
                theirs.append(pair.theirs_read[number])
    return mean(ours) / 1e3, mean(theirs) / 1e3


def _stages(venue: str) -> list[Row]:
    spans = [one for recording in recordings_of(venue) for _ in range(ROUNDS) for one in _through_service(recording)]
    ordinary = [one for one in spans if one.bytes_count <= ORDINARY_BYTES_MAX]
    name = f"stage {{}}, {venue} ({recording_kind()}), p95 of an update"
    made = "transform (sync, book, publication)"
    return [
        _bounded(name.format("parse"), _p95([one.parse for one in spans]), PARSE_P95_US_MAX),
        _bounded(
            f"{name.format(made)} of at most {ORDINARY_BYTES_MAX} bytes ({len(ordinary) / len(spans):.0%} of them)",
            _p95([one.transform for one in ordinary]),
            TRANSFORM_P95_US_MAX,
        ),
        _measured(f"{name.format(made)} of any size", _p95([one.transform for one in spans])),
    ]


def _p95(spans: list[int]) -> float:
    return quantiles(spans, n=20)[18] / 1e3


def _p99(spans: list[int]) -> float:
    return quantiles(spans, n=100)[98] / 1e3


class StageTimes(NamedTuple):
    """The times of parsing and transforming an update."""

    bytes_count: int
    parse: int
    transform: int


def _through_service(recording: MeasuredRecording) -> list[StageTimes]:
    """Run a recording through the whole service."""
    reader = recording.reader()
    adapter = reader.adapter
    (instrument,) = reader.registry
    service = _service(reader)
    at_ns = recording.frames[0].at_ns
    for message in (
        InstrumentsLoaded(adapter.venue, (instrument,)),
        FeedUp(adapter.venue),
        BookStreamUp(adapter.venue, instrument.symbol),
    ):
        service.on_message(VenueEvent(message), at_ns)
    spans: list[StageTimes] = []
    request: FetchSnapshot | None = None
    for frame in recording.frames:
        if frame.via is Via.RESPONSE:
            snapshots = [datum for datum in reader.decode(frame) if isinstance(datum, DepthSnapshot)]
            if snapshots and request is not None:
                service.on_message(VenueCallCompleted(request, snapshots[0]), frame.at_ns)
            continue
        began = perf_counter_ns()
        data = tuple(adapter.decode(frame.text, frame.at_ns).data)
        read = perf_counter_ns()
        if not data:
            continue
        effects = service.on_message(
            VenueEvent(DecodedFrame(adapter.venue, data, frame.at_ns, 0, len(frame.text))), frame.at_ns
        )
        done = perf_counter_ns()
        request = _fetched(effects) or request
        if isinstance(data[0], DepthUpdate):
            spans.append(StageTimes(len(frame.text), read - began, done - read))
    return spans


def _service(reader: RecordingReader) -> MarketDataService:
    adapter = reader.adapter
    terms = VenueBookSettings(
        venue=adapter.venue,
        symbols=tuple(one.symbol for one in reader.registry),
        sequence_rule=adapter.sequence_rule,
        pushes_snapshot=adapter.pushes_snapshot,
        levels_published=TOP,
        book_age_ms_max=60_000,
        first_book_timeout_ms=60_000,
        audit_every_s=0,
        sync_limits=SyncLimits(),
    )
    metrics = Metrics("market_data", "bench")
    service = MarketDataService(None, OrderBookService((terms,), metrics, lambda: 0.0))
    service.on_start(0)
    return service


def _fetched(effects: Effects) -> FetchSnapshot | None:
    calls = [effect.request for effect in effects if isinstance(effect, CallVenue)]
    return next((call for call in calls if isinstance(call, FetchSnapshot)), None)


def _ratio(name: str, ours: float, theirs: float, *, bound: float | None) -> Row:
    ratio = theirs / ours
    text = None if bound is None else f">= {bound}"
    holds = bound is None or ratio >= bound
    return {
        "name": name,
        "value": ours,
        "unit": "us",
        "reference": theirs,
        "ratio": ratio,
        "bound": text,
        "holds": holds,
    }


def _bounded(name: str, value: float, bound: float) -> Row:
    measured = _measured(name, value)
    return measured | {"reference": bound, "ratio": value / bound, "bound": f"<= {bound} us", "holds": value <= bound}


def _measured(name: str, value: float) -> Row:
    return {"name": name, "value": value, "unit": "us", "reference": None, "ratio": None, "bound": None, "holds": True}
