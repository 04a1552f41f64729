"""The sandbox process: its first line, its exit codes, its memory."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.machine import scaled
from tests.support.sandbox_process import PROJECT, running_sandbox

pytestmark = pytest.mark.integration
RSS_BYTES_MAX = 80 << 20


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "components.sandbox", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=scaled(20), check=False)


def test_the_first_line_contains_the_addresses() -> None:
    with running_sandbox() as sandbox:
        where = sandbox.endpoints
        assert set(where) == {"trading_url", "stream_url", "data_url", "admin_url", "key", "secret"}
        port = where["trading_url"].rsplit(":", 1)[1]
        assert where["stream_url"] == f"ws://127.0.0.1:{port}/stream"
        assert where["data_url"] == f"ws://127.0.0.1:{port}/v2/iex"
        with sandbox.admin() as admin:
            assert [admin.get(page).status_code for page in ("/healthz", "/readyz")] == [200, 200]
        assert sandbox.stop() == 0


def test_the_memory_of_an_idle_venue_is_bounded() -> None:
    with running_sandbox() as sandbox:
        sandbox.state()
        assert psutil.Process(sandbox.process.pid).memory_info().rss < RSS_BYTES_MAX


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--symbols", "12"), 64, "is not a symbol"),
        (("--seed", "red"), 64, "--seed"),
        (("--port", "70000"), 64, "--port"),
        (("--session", "never"), 64, "--session"),
        (("--state", "/dev/null/x"), 74, "/dev/null/x"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(arguments: tuple[str, ...], code: int, message: str) -> None:
    done = _run("run", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert message in line


def test_a_port_in_use_is_reported_as_busy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = _run("run", "--port", str(port))
    assert done.returncode == 75
    assert f"port {port} is held" in done.stderr


def test_a_locked_state_folder_is_reported_as_busy(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path)) as sandbox:
        done = _run("run", "--state", str(tmp_path))
        assert done.returncode == 75
        assert str(sandbox.process.pid) in done.stderr


def test_a_corrupt_database_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "venue.sqlite").write_bytes(b"this is not a database" * 100)
    done = _run("run", "--state", str(tmp_path))
    assert done.returncode == 65
    assert "venue.sqlite" in done.stderr


def test_the_state_command_shows_the_venues_state() -> None:
    with running_sandbox() as sandbox:
        done = _run("state", "--url", sandbox.endpoints["admin_url"], "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["positions"] == {}
        sandbox.stop()
        assert _run("state", "--url", sandbox.endpoints["admin_url"]).returncode == 69
