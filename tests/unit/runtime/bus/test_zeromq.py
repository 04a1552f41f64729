"""The options of the ZeroMQ sockets."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from components.runtime.bus.zeromq import FRAME_BYTES_MAX, Transport


@pytest.fixture
def run() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="xr-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def transport() -> Iterator[Transport]:
    opened = Transport()
    yield opened
    opened.close()


def test_no_socket_sends_zmtp_heartbeats_and_each_bounds_its_frames(run: Path, transport: Transport) -> None:
    sockets = [
        transport.bind_publisher(run / "risk.pub", 10),
        transport.bind_server(run / "risk.recovery", 10),
        transport.connect_subscriber([(run / "risk.pub", 10)], [b"health"]),
        transport.connect_client(run / "risk.recovery", 10),
    ]
    for one in sockets:
        assert one.zmq_socket.getsockopt(zmq.HEARTBEAT_IVL) == 0, one
        assert one.zmq_socket.getsockopt(zmq.MAXMSGSIZE) == FRAME_BYTES_MAX, one
