"""How the sockets of the transport are set up."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from components.runtime.zmq_bus import FRAME_BYTES_MAX, Transport


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
    ports = [
        transport.publish_at(run / "risk.pub", 10),
        transport.serve_at(run / "risk.side", 10),
        transport.subscribe_to([(run / "risk.pub", 10)], [b"health"]),
        transport.ask_at(run / "risk.side", 10),
    ]
    for port in ports:
        assert port.socket.getsockopt(zmq.HEARTBEAT_IVL) == 0, port
        assert port.socket.getsockopt(zmq.MAXMSGSIZE) == FRAME_BYTES_MAX, port
