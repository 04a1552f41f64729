"""The sandbox as a program: its first line, its exits, what it costs."""

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


def test_the_first_line_says_where_the_venue_is() -> None:
    with running_sandbox() as sandbox:
        where = sandbox.endpoints
        assert set(where) == {"trading_url", "stream_url", "data_url", "admin_url", "key", "secret"}
        port = where["trading_url"].rsplit(":", 1)[1]
        assert where["stream_url"] == f"ws://127.0.0.1:{port}/stream"
        assert where["data_url"] == f"ws://127.0.0.1:{port}/v2/iex"
        with sandbox.admin() as admin:
            assert [admin.get(page).status_code for page in ("/healthz", "/readyz")] == [200, 200]
        assert sandbox.stop() == 0


def test_a_venue_is_light() -> None:
    with running_sandbox() as sandbox:
        sandbox.state()
        assert psutil.Process(sandbox.process.pid).memory_info().rss < RSS_BYTES_MAX


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--symbols", "12"), 64, "is not a symbol"),
        (("--seed", "red"), 64, "--seed"),
        (("--port", "70000"), 64, "--port"),
        (("--session", "never"), 64, "--session"),
        (("--state", "/dev/null/x"), 74, "/dev/null/x"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(arguments: tuple[str, ...], code: int, says: str) -> None:
    done = _run("run", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    (line,) = done.stderr.splitlines()
    assert says in line


def test_a_port_that_is_held_is_busy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        done = _run("run", "--port", str(port))
    assert done.returncode == 75
    assert f"port {port} is held" in done.stderr


def test_a_state_folder_that_is_held_is_busy(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path)) as sandbox:
        done = _run("run", "--state", str(tmp_path))
        assert done.returncode == 75
        assert str(sandbox.process.pid) in done.stderr


def test_damaged_books_are_refused(tmp_path: Path) -> None:
    (tmp_path / "venue.sqlite").write_bytes(b"these are no books" * 100)
    done = _run("run", "--state", str(tmp_path))
    assert done.returncode == 65
    assert "venue.sqlite" in done.stderr


def test_the_state_verb_shows_the_venues_own_view() -> None:
    with running_sandbox() as sandbox:
        done = _run("state", "--url", sandbox.endpoints["admin_url"], "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["positions"] == {}
        sandbox.stop()
        assert _run("state", "--url", sandbox.endpoints["admin_url"]).returncode == 69
