"""The health server answers quickly whatever other clients do."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from components.contracts.errors import ConfigError, ResourceBusy
from components.runtime.clock import SystemClock
from components.runtime.metrics import Metrics
from components.runtime.process.health import CONNECTIONS_MAX, HealthServer, HealthState, health_pages
from tests.support.eventually import eventually
from tests.support.machine import scaled

pytestmark = pytest.mark.integration


@pytest.fixture
def health(tmp_path: Path) -> HealthState:
    return HealthState(SystemClock(), tmp_path / "ready", Metrics("risk", "1").ready)


@pytest.fixture
def server(health: HealthState) -> Iterator[HealthServer]:
    pages = health_pages(health, Metrics("risk", "1"), stale_ms=15_000)
    server = HealthServer(pages, SystemClock(), host="127.0.0.1", port=0)
    server.start()
    yield server
    server.close()


def get(server: HealthServer, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", timeout=scaled(1))


def connect(server: HealthServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=scaled(5))


def response(server: HealthServer, request: bytes) -> bytes:
    with connect(server) as client:
        client.sendall(request)
        return client.makefile("rb").readline()


def test_the_three_pages_are_served(server: HealthServer, health: HealthState) -> None:
    assert (get(server, "/healthz").status_code, get(server, "/readyz").status_code) == (200, 503)
    health.report(())
    assert get(server, "/readyz?verbose").json() == {"ready": True, "unmet": []}
    assert "xtrader_build_info" in get(server, "/metrics").text


def test_clients_that_send_nothing_do_not_delay_others(server: HealthServer) -> None:
    with ExitStack() as held:
        for _ in range(CONNECTIONS_MAX - 1):
            held.enter_context(connect(server)).sendall(b"GET /healthz HTTP/1.1\r\n")
        for _ in range(20):
            assert get(server, "/healthz").status_code == 200


def test_more_clients_than_the_bound_push_out_the_oldest(server: HealthServer) -> None:
    with ExitStack() as held:
        silent = [held.enter_context(connect(server)) for _ in range(3 * CONNECTIONS_MAX)]
        assert get(server, "/healthz").status_code == 200
        assert silent[0].recv(1) == b""


def test_a_client_that_sends_nothing_is_disconnected(server: HealthServer) -> None:
    with connect(server) as silent:
        assert silent.recv(1) == b""


def test_a_client_that_reads_nothing_does_not_hold_up_others(health: HealthState) -> None:
    metrics = Metrics("risk", "1")
    for number in range(2_000):
        metrics.counter(f"filler_{number}_total", "x" * 500)
    server = HealthServer(health_pages(health, metrics, stale_ms=15_000), SystemClock(), host="127.0.0.1", port=0)
    server.start()
    with connect(server) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        eventually(lambda: get(server, "/healthz").status_code == 200, within_s=2)
    server.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /nothing HTTP/1.1\r\n\r\n", b"404"),
        (b"POST /healthz HTTP/1.1\r\n\r\n", b"405"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"\xff\xfe \xff HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /" + b"x" * 5_000, b"431"),
    ],
)
def test_nonsense_is_answered_shortly(server: HealthServer, request_bytes: bytes, status: bytes) -> None:
    assert response(server, request_bytes).split()[1] == status


def test_a_client_that_resets_is_forgotten(server: HealthServer) -> None:
    for _ in range(50):
        client = connect(server)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        client.close()
    assert get(server, "/healthz").status_code == 200


def test_a_port_in_use_is_reported(server: HealthServer) -> None:
    with pytest.raises(ResourceBusy, match=f"port {server.port} on 127.0.0.1 is held by another process"):
        HealthServer({}, SystemClock(), host="127.0.0.1", port=server.port)


def test_a_foreign_host_is_reported() -> None:
    with pytest.raises(ConfigError, match=r"^runtime.health_host: 192.0.2.1:0: "):
        HealthServer({}, SystemClock(), host="192.0.2.1", port=0)
