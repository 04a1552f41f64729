"""The containers' health check: a young ready file or an answering port is health, anything else is not."""

import os
import subprocess
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.support.machine import scaled

pytestmark = pytest.mark.integration

SCRIPT = Path(__file__).resolve().parents[2] / "docker" / "healthcheck"
OLD_S = 60


def exit_code(run: Path, *arguments: str) -> int:
    environment = {"PATH": "/usr/bin:/bin", "XTRADER__RUNTIME__RUN_DIR": str(run), "XTRADER_COMPONENT": "risk"}
    done = subprocess.run([SCRIPT, *arguments], env=environment, check=False, capture_output=True, timeout=scaled(10))
    return done.returncode


def test_a_young_ready_file_is_health(tmp_path: Path) -> None:
    (tmp_path / "risk.ready").touch()
    assert exit_code(tmp_path) == 0


def test_a_ready_file_that_nobody_renews_is_not(tmp_path: Path) -> None:
    ready = tmp_path / "risk.ready"
    ready.touch()
    renewed_at_s = ready.stat().st_mtime - OLD_S
    os.utime(ready, (renewed_at_s, renewed_at_s))
    assert exit_code(tmp_path) != 0


def test_no_ready_file_is_not_health(tmp_path: Path) -> None:
    (tmp_path / "signals.ready").touch()
    assert exit_code(tmp_path) != 0


def test_a_port_that_answers_is_health_until_it_is_closed(tmp_path: Path) -> None:
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = str(server.server_port)
    answering = Thread(target=server.handle_request)
    answering.start()
    assert exit_code(tmp_path, port) == 0
    answering.join()
    server.server_close()
    assert exit_code(tmp_path, port) != 0
