"""The cost of a hop between two processes, compared with raw pyzmq sending the same bytes in the same shape."""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final

import zmq

from components.contracts.decisions import AccountQuery, OperatorReply
from components.contracts.market import Quote
from components.contracts.protocol import SCHEMA_VERSION, FrameKind, Header
from components.contracts.streams import HEALTH, MARKET, RISK_REQUESTS, Stream
from components.contracts.values import CommandId, Symbol, Venue
from components.runtime.bus.bus import Bus, open_bus
from components.runtime.bus.codec import encode
from components.runtime.clock import SystemClock
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.process.loop import LoopContext, run_blocking
from components.runtime.service import (
    Effects,
    Inbound,
    MessageReceived,
    Reply,
    ReplyReceived,
    RequestReceived,
    StreamBindings,
    StreamSynced,
)

Row = dict[str, Any]
Work = Callable[[Connection, Path], None]
PACE_NS: Final = 1_000_000
"""A thousand hops a second of each kind, in turn: a paced stream, as a market is, not a busy loop."""
WARM_UP: Final = 300
SAMPLES: Final = 3_000
RATIO_MAX: Final = 1.5
WITHIN_S: Final = 30
QUOTE: Final = Quote(
    Venue("alpaca"), Symbol("AAPL"), Decimal("187.21"), Decimal(3), Decimal("187.23"), Decimal(5), 10**18, 10**18
)
SPAWN: Final = multiprocessing.get_context("spawn")


def rows() -> list[Row]:
    """Measure each placement; only the one that tick_to_order is pinned to has a bound."""
    allowed = sorted(os.sched_getaffinity(0))
    found: list[Row] = []
    try:
        for name, cores in _placements(allowed).items():
            is_promised = cores[0] == cores[1]
            found += [
                _row(f"bus hop p50 ({name})", _hops(_receive, *cores), bound=RATIO_MAX if is_promised else None),
                _row(f"bus hop p50 ({name}, subscriber polls)", _hops(_receive_and_poll, *cores), bound=None),
                _row(f"bus request and reply p50 ({name})", _round_trips(*cores), bound=None),
            ]
    finally:
        os.sched_setaffinity(0, allowed)
    return found


def _placements(allowed: Sequence[int]) -> dict[str, tuple[int, int]]:
    placements = {"same core": (allowed[0], allowed[0])}
    return placements if len(allowed) == 1 else placements | {"one core each": (allowed[0], allowed[1])}


def _row(name: str, samples_ns: tuple[list[int], list[int]], bound: float | None) -> Row:
    ours, raw = (median(samples) / 1e3 for samples in samples_ns)
    ratio = ours / raw
    holds = bound is None or ratio <= bound
    text = None if bound is None else f"<= {bound}"
    return {
        "name": name, "value": ours, "unit": "us", "reference": raw, "ratio": ratio, "bound": text, "holds": holds
    }  # fmt: skip


def _hops(receive: Work, core: int, far_core: int) -> tuple[list[int], list[int]]:
    """Publish in turn through the bus and raw; the remote ends return how long each message took."""
    with tempfile.TemporaryDirectory(prefix="xb-") as folder, zmq.Context() as context:
        run = Path(folder)
        bus = _open(run, StreamBindings(component="market_data", publishes=(MARKET, HEALTH)))
        raw = context.socket(zmq.XPUB)
        raw.bind(f"ipc://{run}/raw")
        ours = _RemoteProcess(receive, run, far_core)
        floor = _RemoteProcess(_receive_raw, run, far_core)
        _pin(core)
        _await_subscriptions(bus, raw, ours)
        frames = _frames(MARKET, QUOTE)
        for _ in _paced(WARM_UP + SAMPLES):
            bus.publish(MARKET, QUOTE, time.monotonic_ns(), time.monotonic_ns())
            _pause(PACE_NS // 2)
            raw.send_multipart((frames[0], frames[1], time.monotonic_ns().to_bytes(8, "big") + frames[2][8:]))
        result = ours.samples(), floor.samples()
        bus.close()
        raw.close(linger=0)
        return result


def _round_trips(core: int, far_core: int) -> tuple[list[int], list[int]]:
    with tempfile.TemporaryDirectory(prefix="xb-") as folder, zmq.Context() as context:
        run = Path(folder)
        server, raw_server = _RemoteProcess(_serve, run, far_core), _RemoteProcess(_serve_raw, run, far_core)
        bus = _open(run, StreamBindings(component="signals", requests=(RISK_REQUESTS,)))
        raw = context.socket(zmq.DEALER)
        raw.connect(f"ipc://{run}/raw")
        _pin(core)
        frames = (b"", *_frames(RISK_REQUESTS, AccountQuery("0123456789")))
        ours: list[int] = []
        floor: list[int] = []
        for number in _paced(WARM_UP + SAMPLES):
            ours.append(_timed(partial(_request, bus, f"{number:010}")))
            _pause(PACE_NS // 2)
            floor.append(_timed(lambda: (raw.send_multipart(frames), raw.recv_multipart())))
        bus.close()
        raw.close(linger=0)
        for far in (server, raw_server):
            far.end()
        return ours[WARM_UP:], floor[WARM_UP:]


def _request(bus: Bus, request_id: str) -> None:
    bus.request(RISK_REQUESTS, request_id, AccountQuery(request_id), 5_000)
    while not any(isinstance(inbound, ReplyReceived) for inbound in bus.receive(10)):
        bus.poll_background()


def _timed(call: Callable[[], object]) -> int:
    began_ns = time.monotonic_ns()
    call()
    return time.monotonic_ns() - began_ns


def _paced(count: int) -> Iterator[int]:
    due_ns = time.monotonic_ns()
    for number in range(count):
        due_ns += PACE_NS
        yield number
        _pause(due_ns - time.monotonic_ns())


def _pause(span_ns: int) -> None:
    if span_ns > 0:
        time.sleep(span_ns / 1e9)


def _pin(core: int) -> None:
    os.sched_setaffinity(0, {core})


def _open(run: Path, bindings: StreamBindings) -> Bus:
    return open_bus(run, bindings, clock=SystemClock(), metrics=Metrics(bindings.component, "bench"), log=logger())


def _frames(stream: Stream, body: object) -> tuple[bytes, bytes, bytes]:
    at_ns = time.time_ns()
    header = Header(
        SCHEMA_VERSION, FrameKind.MESSAGE, "market_data", "0" * 12, 1_000, at_ns, at_ns, at_ns, b"", "0" * 12
    )
    return stream.name.encode(), encode(header), encode(body)


def _await_subscriptions(bus: Bus, raw: "zmq.Socket[bytes]", ours: "_RemoteProcess") -> None:
    raw.recv()
    deadline_s = time.monotonic() + WITHIN_S
    while not ours.has_reported():
        bus.poll_background()
        for wanted in bus.poll_snapshot_requests():
            bus.send_snapshot(wanted, ())
        if time.monotonic() > deadline_s:
            sys.exit("the far end did not join")
        time.sleep(0.001)


class _RemoteProcess:
    """A process at the other end, and the pipe on which it returns its samples."""

    def __init__(self, work: Work, run: Path, core: int) -> None:
        self._pipe, far = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_work, args=(work, far, run, core))
        self._process.start()

    def has_reported(self) -> bool:
        return self._pipe.poll() and self._pipe.recv() == "joined"

    def samples(self) -> list[int]:
        if not self._pipe.poll(WITHIN_S):
            sys.exit("the remote end received too few messages")
        samples: list[int] = self._pipe.recv()
        self.end()
        return samples[WARM_UP:]

    def end(self) -> None:
        self._pipe.send("end")
        self._process.join()


def _work(work: Work, pipe: Connection, run: Path, core: int) -> None:
    _pin(core)
    work(pipe, run)


class _LatencyService:
    """The smallest service: it records the age of each message at its arrival."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.samples: list[int] = []

    def on_start(self, now_ns: int) -> Effects:  # noqa: ARG002 -- as a Service
        return ()

    def on_message(self, message: Inbound, now_ns: int) -> Effects:  # noqa: ARG002 -- as a Service
        match message:
            case MessageReceived():
                self.samples.append(time.monotonic_ns() - message.header.event_at_ns)
            case StreamSynced():
                self._pipe.send("joined")
            case RequestReceived(_, ticket, body):
                return (Reply(ticket, OperatorReply(body.request_id, done=True, detail="")),)
            case _:
                pass
        return ()

    def on_tick(self, now_ns: int) -> Effects:  # noqa: ARG002 -- as a Service
        return ()

    def on_stop(self, now_ns: int) -> Effects:  # noqa: ARG002 -- as a Service
        return ()

    def is_drained(self) -> bool:
        return True

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:  # noqa: ARG002 -- as a Service
        return ()

    def unmet(self, now_ns: int) -> tuple[str, ...]:  # noqa: ARG002 -- as a Service
        return ()


def _drive(pipe: Connection, run: Path, bindings: StreamBindings, is_over: Callable[[_LatencyService], bool]) -> None:
    service, bus = _LatencyService(pipe), _open(run, bindings)
    context = LoopContext(
        component=bindings.component, version="bench", service=service, bus=bus, clock=SystemClock(), log=logger(),
        tick_ms=50, report_health=lambda _: None, should_stop=lambda: is_over(service), drain_timeout_ms=0
    )  # fmt: skip
    run_blocking(context)
    bus.close()
    pipe.send(service.samples)
    pipe.recv()


def _receive(pipe: Connection, run: Path) -> None:
    bindings = StreamBindings(component="signals", subscribes={MARKET: None}, publishes=(HEALTH,))
    _drive(pipe, run, bindings, lambda service: len(service.samples) >= WARM_UP + SAMPLES)


def _receive_and_poll(pipe: Connection, run: Path) -> None:
    """Receive as a process does that also serves requests: it polls several sockets."""
    bindings = StreamBindings(component="risk", subscribes={MARKET: None}, serves=(RISK_REQUESTS,), publishes=(HEALTH,))
    _drive(pipe, run, bindings, lambda service: len(service.samples) >= WARM_UP + SAMPLES)


def _serve(pipe: Connection, run: Path) -> None:
    _drive(
        pipe, run, StreamBindings(component="risk", serves=(RISK_REQUESTS,), publishes=(HEALTH,)), lambda _: pipe.poll()
    )


def _receive_raw(pipe: Connection, run: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe(MARKET.name)
        socket.connect(f"ipc://{run}/raw")
        samples: list[int] = []
        while len(samples) < WARM_UP + SAMPLES:
            payload = socket.recv_multipart()[2]
            samples.append(time.monotonic_ns() - int.from_bytes(payload[:8], "big"))
        pipe.send(samples)
        pipe.recv()


def _serve_raw(pipe: Connection, run: Path) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.bind(f"ipc://{run}/raw")
        answer = _frames(RISK_REQUESTS, OperatorReply(CommandId("0123456789"), done=True, detail=""))
        socket.rcvtimeo = 50
        while not pipe.poll():
            try:
                identity, delimiter, *_ = socket.recv_multipart()
            except zmq.Again:
                continue
            socket.send_multipart((identity, delimiter, *answer))


if __name__ == "__main__":
    for row in rows():
        print(row)
