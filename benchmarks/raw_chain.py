"""The floor of tick-to-order: four processes that do nothing but pass bytes of the same size in the same shape."""

import multiprocessing
import os
import statistics
import struct
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import zmq

STAMP = struct.Struct("<qB")
TICK_PAYLOAD_BYTES = 60
HEADER_BYTES = 65
APPROVAL_REQUEST_BYTES = 340
COMMAND_BYTES = 440
"""What a quote, a header, a request to judge and a sealed approval weigh."""
WARM_UP_TICKS = 200
WAIT_S_MAX = 120


@dataclass(frozen=True)
class FloorLoad:
    """How many ticks a second, and how many ticks go by for each that becomes an order."""

    ticks_per_s: float
    ticks_per_order: int
    ticks: int


def run_floor(pace: FloorLoad, cpus: tuple[set[int], set[int], set[int], set[int]] | None) -> list[float]:
    """Give the microseconds of each passage; `cpus` pins the four processes."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="xt-") as folder:
        near, far = context.Pipe()
        links: tuple[Callable[..., None], ...] = (_source, _request_client, _request_server, _command_receiver)
        processes = [
            context.Process(target=link, args=(Path(folder), pace, cpus[place] if cpus else None, far), daemon=True)
            for place, link in reversed(list(enumerate(links)))
        ]
        for process in processes:
            process.start()
        if not near.poll(WAIT_S_MAX):
            raise TimeoutError(f"the raw chain did not end within {WAIT_S_MAX} s")
        taken: list[float] = near.recv()
        for process in processes:
            process.join(10)
    return taken


def floor_median_us(taken: list[float]) -> float:
    """Give the p50 after the warm-up."""
    return statistics.median(taken)


def _address(folder: Path, name: str) -> str:
    return f"ipc://{folder}/{name}"


def _pin(cpus: set[int] | None) -> None:
    if cpus:
        os.sched_setaffinity(0, cpus)


def _source(folder: Path, pace: FloorLoad, cpus: set[int] | None, _: Connection) -> None:
    _pin(cpus)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    publisher = context.socket(zmq.XPUB)
    publisher.bind(_address(folder, "market"))
    publisher.recv()
    time.sleep(0.5)
    header, padding = bytes(HEADER_BYTES), bytes(TICK_PAYLOAD_BYTES - STAMP.size)
    due = time.monotonic()
    for number in range(-WARM_UP_TICKS, pace.ticks):
        due += 1 / pace.ticks_per_s
        time.sleep(max(0.0, due - time.monotonic()))
        wanted = 2 if number < 0 else int(number % pace.ticks_per_order == 0)
        stamp = STAMP.pack(time.monotonic_ns(), wanted)
        publisher.send_multipart((b"market", header, stamp + padding))
    publisher.send_multipart((b"market", header, STAMP.pack(0, 3)))
    time.sleep(1.0)


def _request_client(folder: Path, _: FloorLoad, cpus: set[int] | None, __: Connection) -> None:
    _pin(cpus)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    subscriber = context.socket(zmq.SUB)
    subscriber.connect(_address(folder, "market"))
    subscriber.subscribe(b"market")
    dealer = context.socket(zmq.DEALER)
    dealer.connect(_address(folder, "judge"))
    poller = zmq.Poller()
    poller.register(subscriber, zmq.POLLIN)
    poller.register(dealer, zmq.POLLIN)
    header, padding = bytes(HEADER_BYTES), bytes(APPROVAL_REQUEST_BYTES - STAMP.size)
    while True:
        for socket, _events in poller.poll():
            frames = socket.recv_multipart()
            if socket is dealer:
                continue
            stamp = frames[2][: STAMP.size]
            if (wanted := STAMP.unpack(stamp)[1]) == 0:
                continue
            dealer.send_multipart((b"", b"judge", header, stamp + padding))
            if wanted == 3:
                return


def _request_server(folder: Path, _: FloorLoad, cpus: set[int] | None, __: Connection) -> None:
    _pin(cpus)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    router = context.socket(zmq.ROUTER)
    router.bind(_address(folder, "judge"))
    dealer = context.socket(zmq.DEALER)
    dealer.connect(_address(folder, "commands"))
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(dealer, zmq.POLLIN)
    header, padding = bytes(HEADER_BYTES), bytes(COMMAND_BYTES - STAMP.size)
    while True:
        for socket, _events in poller.poll():
            frames = socket.recv_multipart()
            if socket is dealer:
                continue
            stamp = frames[4][: STAMP.size]
            router.send_multipart((frames[0], b"", b"judge", header, b"y"))
            dealer.send_multipart((b"", b"commands", header, stamp + padding))
            if STAMP.unpack(stamp)[1] == 3:
                return


def _command_receiver(folder: Path, _: FloorLoad, cpus: set[int] | None, report: Connection) -> None:
    _pin(cpus)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    router = context.socket(zmq.ROUTER)
    router.bind(_address(folder, "commands"))
    taken: list[float] = []
    while True:
        frames = router.recv_multipart()
        sent_ns, wanted = STAMP.unpack(frames[4][: STAMP.size])
        if wanted == 3:
            report.send(taken)
            return
        if wanted == 1:
            taken.append((time.monotonic_ns() - sent_ns) / 1e3)
        router.send_multipart((frames[0], b"", b"y"))
