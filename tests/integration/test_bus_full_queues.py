"""Full queues without a reader end no process, whichever side disconnects meanwhile."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from components.contracts.decisions import OperatorAction, OperatorCommand
from components.contracts.streams import HEALTH, RISK_REQUESTS
from components.contracts.values import CommandId
from components.runtime.bus.codec import encode
from components.runtime.bus.transport import ipc_address, recovery_path, request_path
from tests.support.bus_harness import BusHarness, publish_health
from tests.support.eventually import eventually
from tests.support.malformed_frames import HEADER
from tests.support.stalled_bus import StalledBus, stalled_bus

pytestmark = pytest.mark.integration

CLIENTS = 4
FULL_MS = 200
"""A client that could not send for so long has filled every queue on its way."""
STALL_S = 2.5
"""A ping of libzmq, once a second, would be written to a client that left."""
LONG_STALL_S = 7.0
"""A timeout of pings, five seconds, would pass."""
MANY = 30 * HEALTH.high_water_mark
GARBAGE = [b"", b"risk_requests", bytes(200), bytes(200)]
REQUEST = [b"", b"risk_requests", HEADER, encode(OperatorCommand(CommandId("c-1"), OperatorAction.HALT, "drill"))]
RECOVERY_GARBAGE = [b"", b"recovery", bytes(200), bytes(200)]


@pytest.fixture
def run() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="xr-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def risk(run: Path) -> Iterator[StalledBus]:
    with stalled_bus(run) as process:
        yield process


def fill_and_leave(path: Path, frames: list[bytes]) -> int:
    """Send until nothing more can leave, then go without waiting; give how much was sent."""
    sent = 0
    with zmq.Context() as context:
        clients = [context.socket(zmq.DEALER) for _ in range(CLIENTS)]
        for client in clients:
            client.linger, client.sndtimeo = 0, FULL_MS
            client.connect(ipc_address(path))
        for client in clients:
            with client:
                while True:
                    try:
                        client.send_multipart(frames)
                    except zmq.Again:
                        break
                    sent += 1
    return sent


@pytest.mark.parametrize(
    ("duty", "frames"),
    [("risk_requests", GARBAGE), ("risk_requests", REQUEST), ("recovery", RECOVERY_GARBAGE)],
    ids=["requests: garbage", "requests: valid", "recovery: garbage"],
)
def test_clients_that_fill_a_server_and_leave_at_once_do_not_end_it(
    run: Path, risk: StalledBus, duty: str, frames: list[bytes]
) -> None:
    path = {"risk_requests": request_path(run, RISK_REQUESTS), "recovery": recovery_path(run, "risk")}[duty]
    assert fill_and_leave(path, frames) > CLIENTS * RISK_REQUESTS.high_water_mark
    assert risk.survives(STALL_S)
    read = risk.read()
    if duty == "recovery":
        assert read["health"]["invalid_frames"] >= RISK_REQUESTS.high_water_mark
    else:
        assert read["risk_requests"]["received"] >= CLIENTS * RISK_REQUESTS.high_water_mark


def test_a_subscriber_whose_main_thread_is_blocked_loses_messages_and_lives(run: Path, risk: StalledBus) -> None:
    ring = BusHarness(run)
    signals = ring.open("signals", publishes=(HEALTH,))
    try:
        eventually(lambda: signals.bus.poll_background() or signals.bus.needs_fast_polling)
        publish_health(signals, MANY)
        assert risk.survives(LONG_STALL_S)
        read = risk.read()
    finally:
        ring.close(signals)
    assert HEALTH.high_water_mark <= read["health"]["received"] < MANY
