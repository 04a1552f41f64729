"""Runs `xtrader up` as a user would, with state of its own, and observes it from outside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.eventually import eventually
from tests.support.machine import scaled

PROJECT = Path(__file__).resolve().parents[2]
STOP_S_MAX = 60.0


class RunningSystem:
    """One running `xtrader up`."""

    def __init__(self, state: Path, *arguments: str, overrides: Mapping[str, str] | None = None) -> None:
        self.state = state
        self.run_folder = state / "r"
        self.environment = {
            **os.environ,
            "XTRADER__RUNTIME__STATE_DIR": str(state / "var"),
            "XTRADER__RUNTIME__RUN_DIR": str(self.run_folder),
            **(overrides or {}),
        }
        self._errors = (state / "up.err").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "components.xtrader", "up", "--headless", "--json", *arguments],
            cwd=PROJECT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    @property
    def account_folder(self) -> Path:
        """The state folder of the sandbox account."""
        return self.state / "var" / "dev" / "sandbox"

    def stderr_text(self) -> str:
        """Everything on standard error until now."""
        return (self.state / "up.err").read_text()

    def manifest(self, name: str) -> dict[str, Any] | None:
        """Return the manifest of a component, if there is one."""
        try:
            found: dict[str, Any] = json.loads((self.run_folder / f"{name}.json").read_text())
        except (OSError, ValueError):
            return None
        return found

    def kill(self, name: str) -> int:
        """Kill a component with SIGKILL and return its pid."""
        manifest = eventually(lambda: self.manifest(name), within_s=20)
        pid = int((manifest or {})["pid"])
        os.kill(pid, signal.SIGKILL)
        return pid

    def is_restarted(self, name: str, killed: int) -> bool:
        """Return whether another process of this name is ready."""
        manifest = self.manifest(name)
        if manifest is None or manifest["pid"] == killed:
            return False
        try:
            return httpx.get(f"http://127.0.0.1:{manifest['health_port']}/readyz", timeout=scaled(1)).status_code == 200
        except httpx.HTTPError:
            return False

    def sandbox_endpoints(self) -> dict[str, Any]:
        """Return the sandbox's endpoints, as it printed them."""
        found: dict[str, Any] = json.loads((self.run_folder / "sandbox.out").read_text().splitlines()[0])
        return found

    def stop(self) -> dict[str, Any]:
        """Interrupt it and return its summary of the run."""
        self.process.send_signal(signal.SIGINT)
        return self.result(STOP_S_MAX)

    def result(self, within_s: float) -> dict[str, Any]:
        """Wait for the end and return the last line of standard output."""
        out, _ = self.process.communicate(timeout=scaled(within_s))
        lines = out.splitlines()
        assert lines, f"nothing on standard output; standard error:\n{self.stderr_text()}"
        last: dict[str, Any] = json.loads(lines[-1])
        return last

    def close(self) -> None:
        """Terminate the process if it still runs and close its files."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(scaled(STOP_S_MAX))
            except subprocess.TimeoutExpired:
                self.process.kill()
        if self.process.stdout:
            self.process.stdout.close()
        self._errors.close()


@contextmanager
def running_system(state: Path, *arguments: str, overrides: Mapping[str, str] | None = None) -> Iterator[RunningSystem]:
    """Run `up` for the length of a block."""
    up = RunningSystem(state, *arguments, overrides=overrides)
    try:
        yield up
    finally:
        up.close()
