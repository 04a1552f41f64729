"""The order book alone: updates applied, compared with nautilus_trader; the cost of depth and of uptime."""

from functools import partial
from itertools import islice
from statistics import median
from time import perf_counter_ns
from typing import Any, Final

from benchmarks.fake_venue import VENUE_FORMATS
from benchmarks.order_flow import SimulatedFlow
from benchmarks.peers import environment
from benchmarks.recordings import MeasuredRecording, recording_kind, recordings_of, subscribed_synchronizer
from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.events import DepthUpdate
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.core.numerics import Levels
from components.market_data.venues.binance.adapter import BinanceFuturesAdapter
from components.market_data.venues.binance.requests import BinanceSettings

Row = dict[str, Any]
ROUNDS = 30
TURNS = 3
"""Ours and theirs are measured in turn, so that the load of the machine affects both."""
VENUES: Final = ("BINANCE", "BINANCEUM", "OKX", "DERIBIT")
FASTER_MIN: Final = 2.0
DEPTHS: Final = (50, 1_000, 5_000)
DEPTH_FRAMES = 20_000
DEPTH_RATIO_MAX: Final = 1.5
YOUNG_FRAMES = 10_000
OLD_FRAMES = 1_000_000
UPTIME_RATIO_MAX: Final = 1.3
UPTIME_LEVELS: Final = 1_000
SMOKE: Final = {"ROUNDS": 2, "TURNS": 1, "DEPTH_FRAMES": 500, "YOUNG_FRAMES": 500, "OLD_FRAMES": 2_000}


def rows() -> list[Row]:
    """Compare by venue, then measure a deep book, and one after a million updates."""
    return [row for venue in VENUES for row in _against_nautilus(venue)] + _growth_by_depth() + [_growth_by_age()]


def _against_nautilus(venue: str) -> list[Row]:
    ours: list[float] = []
    theirs: list[dict[str, float]] = []
    recording = max(recordings_of(venue), key=lambda recording: len(recording.frames))
    request = _as_texts(recording)
    for _ in range(TURNS):
        ours += [_round(recording) for _ in range(ROUNDS)]
        theirs.append(environment.run("nautilus_book", request))
    # Ours parses the texts in its time; only the first variant of theirs has to parse them as well.
    least = min(ours) / 1e3
    peer = {way: min(times[way] for times in theirs) / 1e3 for way in theirs[0]}
    name = f"book alone, {recording.name} ({recording_kind()}), an update; nautilus"
    return [
        _faster(f"{name}, deltas built from the same texts", least, peer["texts"], FASTER_MIN),
        _faster(f"{name}, deltas built of prices from integers at hand", least, peer["integers"], None),
        _faster(f"{name}, deltas built raw from scaled integers at hand", least, peer["raw"], None),
        _faster(f"{name}, deltas prebuilt", least, peer["prebuilt"], None),
    ]


def _as_texts(recording: MeasuredRecording) -> dict[str, Any]:
    snapshot, updates = recording.decoded()
    return {
        "snapshot": _pairs(snapshot.bids, snapshot.asks),
        "updates": [_pairs(update.bids, update.asks) for update in updates],
        "rounds": ROUNDS,
    }


def _pairs(*sides: Levels) -> list[list[tuple[str, str]]]:
    return [[(level[0], level[1]) for level in side] for side in sides]


def _round(recording: MeasuredRecording) -> float:
    snapshot, updates = recording.decoded()
    depth = OrderBook()
    depth.apply_snapshot(snapshot.bids, snapshot.asks)
    began = perf_counter_ns()
    for update in updates:
        depth.apply_update(update.bids, update.asks)
    return (perf_counter_ns() - began) / len(updates)


def _growth_by_depth() -> list[Row]:
    spans: dict[int, list[float]] = {levels: [] for levels in DEPTHS}
    for seed in range(TURNS):
        for levels in DEPTHS:
            spans[levels].append(median(_spans(SimulatedFlow(levels, seed), DEPTH_FRAMES)) / 1e3)
    shallow, *deeper = (min(spans[levels]) for levels in DEPTHS)
    return [
        _grown(f"a frame to its top 10, {levels:,} levels a side against {DEPTHS[0]}", span, shallow, DEPTH_RATIO_MAX)
        for levels, span in zip(DEPTHS[1:], deeper, strict=True)
    ]


def _growth_by_age() -> Row:
    spans = _spans(SimulatedFlow(UPTIME_LEVELS, 1), OLD_FRAMES)
    young = median(spans[:YOUNG_FRAMES]) / 1e3
    old = median(spans[-YOUNG_FRAMES:]) / 1e3
    name = f"a frame to its top 10, the last of {OLD_FRAMES:,} against the first {YOUNG_FRAMES:,}"
    return _grown(name, old, young, UPTIME_RATIO_MAX)


def _spans(flow: SimulatedFlow, count: int) -> list[int]:
    """Return the time from raw frame to top 10 of this many frames; the flow is generated outside of what is timed."""
    venue_format, adapter = (
        VENUE_FORMATS["binanceum"],
        BinanceFuturesAdapter("ws://localhost", "http://localhost", BinanceSettings()),
    )
    (instrument,) = adapter.decode_instruments([venue_format.instruments().encode()])
    adapter.set_instruments(InstrumentRegistry([instrument]))
    book = subscribed_synchronizer(instrument, adapter, 0)
    book.apply_snapshot(adapter.decode_snapshot(instrument.symbol, venue_format.snapshot(flow, 1).encode(), 0))
    read, take, top, spans = adapter.decode, book.apply_update, partial(book.book.top, 10), list[int]()
    for number, update in enumerate(islice(flow.updates(), count)):
        frame = venue_format.update(update, number).encode()
        began = perf_counter_ns()
        for datum in read(frame, number).data:
            if type(datum) is DepthUpdate:
                take(datum)
                top()
        spans.append(perf_counter_ns() - began)
    if not book.is_live or book.stats.applied != count:
        raise RuntimeError(f"the flow did not hold together: {book.reason} after {book.stats.applied}")
    return spans


def _faster(name: str, ours: float, theirs: float, bound: float | None) -> Row:
    ratio = theirs / ours
    text = None if bound is None else f">= {bound}"
    holds = bound is None or ratio >= bound
    return _row(name, ours, theirs, ratio) | {"bound": text, "holds": holds}


def _grown(name: str, value: float, reference: float, bound: float) -> Row:
    ratio = value / reference
    return _row(name, value, reference, ratio) | {"bound": f"<= {bound}", "holds": ratio <= bound}


def _row(name: str, value: float, reference: float, ratio: float) -> Row:
    return {"name": name, "value": value, "unit": "us", "reference": reference, "ratio": ratio}
