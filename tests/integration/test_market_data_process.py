"""The real executable beside a real venue: its commands receive what it publishes, and it stops on SIGTERM."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.runtime.config.settings import child_environment
from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.sandbox_process import running_sandbox

pytestmark = pytest.mark.integration

PROJECT = Path(__file__).resolve().parents[2]


class MarketDataProcess:
    """One market_data process with state of its own, and the commands that query it."""

    def __init__(self, state: Path, **overrides: str) -> None:
        self._run = state / "r"
        folders = {
            "XTRADER__RUNTIME__STATE_DIR": str(state / "var"),
            "XTRADER__RUNTIME__RUN_DIR": str(self._run),
        }
        self._environment = child_environment(folders | overrides)
        self.process = subprocess.Popen(
            self._command("market_data", "run"), cwd=PROJECT, env=self._environment, stderr=subprocess.PIPE, text=True
        )

    def command(self, component: str, *arguments: str) -> list[Any]:
        """Run a command to its end and return its lines."""
        done = subprocess.run(
            self._command(component, *arguments, "--json"),
            cwd=PROJECT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=scaled(30),
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def unmet(self) -> list[str] | None:
        """Return what readiness waits for; None while the process does not answer."""
        try:
            manifest = json.loads((self._run / "market_data.json").read_text())
            reply = httpx.get(f"http://127.0.0.1:{manifest['health_port']}/readyz", timeout=scaled(1))
        except (OSError, ValueError, httpx.HTTPError):
            return None
        unmet: list[str] = reply.json()["unmet"]
        return unmet

    def end(self) -> tuple[int, str]:
        """Send SIGTERM and return its exit code and its log."""
        self.process.terminate()
        _, log = self.process.communicate(timeout=scaled(10))
        return self.process.returncode, log

    def _command(self, component: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", f"components.{component}", *arguments]


def market_data_beside(where: dict[str, str], state: Path) -> MarketDataProcess:
    return MarketDataProcess(
        state,
        XTRADER__MARKET_DATA__ALPACA__STREAM_URL=where["data_url"],
        APCA_API_KEY_ID=where["key"],
        APCA_API_SECRET_KEY=where["secret"],
    )


@pytest.fixture
def market_data(tmp_path: Path) -> Iterator[MarketDataProcess]:
    with running_sandbox("--speed", "10") as sandbox:
        made = market_data_beside(sandbox.endpoints, tmp_path)
        try:
            eventually(lambda: made.unmet() == [], within_s=20)
            yield made
        finally:
            if made.process.poll() is None:
                made.end()


def test_commands_receive_what_it_publishes_and_it_stops_in_order(market_data: MarketDataProcess) -> None:
    followed = market_data.command("market_data", "tail", "--symbol", "nvda", "--count", "3")
    assert {one["symbol"] for one in followed} == {"NVDA"}
    sequences = [one["sequence"] for one in followed]
    assert sequences == sorted(set(sequences))
    (shown,) = market_data.command("market_data", "quote", "spy")
    assert (shown["quote"]["symbol"], shown["health"]["state"]) == ("SPY", "synced")
    (row,) = market_data.command("signals", "features", "--symbol", "AAPL", "--count", "1")
    assert row["symbol"] == "AAPL"
    code, log = market_data.end()
    assert code == 0
    assert '"process_stopped"' in log
    assert '"bug"' not in log


def test_a_venue_that_restarts_is_received_again(tmp_path: Path) -> None:
    with running_sandbox("--state", str(tmp_path / "venue")) as sandbox:
        market_data = market_data_beside(sandbox.endpoints, tmp_path)
        try:
            eventually(lambda: market_data.unmet() == [], within_s=20)
            sandbox.kill()
            (reason,) = eventually(market_data.unmet) or []
            assert "feed alpaca is down" in reason
            (shown,) = market_data.command("market_data", "quote", "AAPL")
            assert shown["health"]["state"] == "gap"
            sandbox.restart()
            eventually(lambda: market_data.unmet() == [], within_s=20)
        finally:
            code, _ = market_data.end()
        assert code == 0


def test_a_command_without_a_running_process_reports_it(tmp_path: Path) -> None:
    environment = child_environment({"XTRADER__RUNTIME__RUN_DIR": str(tmp_path / "r")})
    command = [sys.executable, "-m", "components.market_data", "quote", "AAPL"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (69, "")
    assert "market_data is not running" in done.stderr
