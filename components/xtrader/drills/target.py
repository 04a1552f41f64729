"""The system under a drill: an `up` of its own in the sandbox, seen and struck from outside."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from components.contracts.errors import StorageError
from components.runtime.config import child_environment, load_settings
from components.runtime.manifest import Manifest, read_manifest
from components.xtrader.vitals import probe_readiness
from components.xtrader.yard import stop_with_parent

STOP_S_MAX: Final = 90.0
"""Settling and stopping five processes, each within its own bound."""


class SystemUnderTest:
    """One `up` with its state in `state` and its sockets in `run`; it is asked to stop should the drill die."""

    def __init__(self, state: Path, run_dir: Path, *, seed: int, overrides: Mapping[str, str]) -> None:
        """Start it."""
        self.state = state
        folders = {"XTRADER__RUNTIME__STATE_DIR": str(state), "XTRADER__RUNTIME__RUN_DIR": str(run_dir)}
        self._environment = child_environment({**overrides, **folders})
        self.paths = load_settings(environ=self._environment).paths
        try:
            state.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (state / "up.out").open("wb") as output, (state / "up.log").open("wb") as log:
                self._process = self._launch(seed, output, log)
        except OSError as error:
            raise StorageError(f"cannot start a system in {state}: {error}") from error

    @property
    def is_running(self) -> bool:
        """Say whether `up` itself still runs."""
        return self._process.poll() is None

    def manifest(self, name: str) -> Manifest | None:
        """Give what a component that is alive says of itself."""
        return read_manifest(self.paths, name)

    def is_ready(self, name: str, *, other_than_pid: int | None = None) -> bool:
        """Say whether a component is ready, as another process than the one that was killed."""
        manifest = self.manifest(name)
        return (
            manifest is not None and manifest.pid != other_than_pid and probe_readiness(manifest.health_port).is_ready
        )

    def kill(self, name: str) -> int | None:
        """SIGKILL a component; gives the pid that is no more, or None where it was away already."""
        manifest = self.manifest(name)
        if manifest is None:
            return None
        try:
            os.kill(manifest.pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return manifest.pid

    def journal_bytes(self, name: str) -> int:
        """Give the size of a component's journal."""
        return sum(segment.stat().st_size for segment in self.paths.journal(name).glob("*.log"))

    def stop(self) -> dict[str, Any]:
        """Ask `up` to end and give its own account of the run; empty where it gave none."""
        if self.is_running:
            self._process.send_signal(signal.SIGINT)
        self.close()
        lines = (self.state / "up.out").read_text().splitlines()
        told: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return told

    def close(self) -> None:
        """Leave nothing behind."""
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _launch(self, seed: int, output: Any, log: Any) -> "subprocess.Popen[bytes]":  # noqa: ANN401  # two files
        command = [sys.executable, "-m", "components.xtrader", "up", "--headless", "--json", "--seed", str(seed)]
        return subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=log,
            start_new_session=True,
            preexec_fn=stop_with_parent,  # noqa: PLW1509  # one thread here, and a drill leaves no system behind
        )
