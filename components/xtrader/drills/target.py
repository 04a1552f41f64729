"""The system under test, an `up` of its own in the sandbox, and the sandbox's admin API."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx

from components.contracts.errors import StorageError, VenueUnavailable
from components.runtime.config.settings import child_environment, load_settings
from components.runtime.process.manifest import Manifest, read_manifest
from components.xtrader.supervisor.health import probe_readiness
from components.xtrader.supervisor.launcher import stop_with_parent

STOP_S_MAX: Final = 90.0
"""Settling and stopping five processes, each within its own bound."""
RESPONSE_S_MAX: Final = 10.0


class SystemUnderTest:
    """One `up` with its state in `state` and its sockets in `run_dir`.

    The kernel stops it if the drill's process ends.
    """

    def __init__(self, state: Path, run_dir: Path, *, seed: int, overrides: Mapping[str, str]) -> None:
        """Start the system."""
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
        """Whether `up` itself is still running."""
        return self._process.poll() is None

    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest of a component; None if it is not running."""
        return read_manifest(self.paths, name)

    def is_ready(self, name: str, *, other_than_pid: int | None = None) -> bool:
        """Return whether a component is ready as a process other than `other_than_pid`, the one that was killed."""
        manifest = self.manifest(name)
        return (
            manifest is not None and manifest.pid != other_than_pid and probe_readiness(manifest.health_port).is_ready
        )

    def kill(self, name: str) -> int | None:
        """Send SIGKILL to a component; return the killed pid, or None if it was not running."""
        manifest = self.manifest(name)
        if manifest is None:
            return None
        try:
            os.kill(manifest.pid, signal.SIGKILL)
        except ProcessLookupError:
            return None
        return manifest.pid

    def journal_bytes(self, name: str) -> int:
        """Return the size of a component's journal."""
        return sum(segment.stat().st_size for segment in self.paths.journal(name).glob("*.log"))

    def stop(self) -> dict[str, Any]:
        """Stop `up` with SIGINT and return its JSON summary; empty if it wrote none."""
        if self.is_running:
            self._process.send_signal(signal.SIGINT)
        self.close()
        lines = (self.state / "up.out").read_text().splitlines()
        summary: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return summary

    def close(self) -> None:
        """Wait for `up` to end; kill it after the timeout."""
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


class SandboxAdmin:
    """Client of the sandbox's admin API for its crypto venues: faults, and each book as the venue itself had it."""

    def __init__(self, admin_url: str) -> None:
        self._client = httpx.Client(base_url=admin_url, timeout=RESPONSE_S_MAX)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def arm_fault(self, fault: Mapping[str, Any]) -> None:
        """Arm a fault."""
        self._request("POST", "/crypto-faults", dict(fault))

    def clear_faults(self) -> None:
        """Disarm all faults."""
        self._request("DELETE", "/crypto-faults")

    def faults_injected(self) -> int:
        """Return how often the armed faults took effect."""
        return sum(int(one["done"]) for one in self._request("GET", "/crypto-faults"))

    def books(self, venue: str, native: str, ids: Sequence[int], depth: int) -> list[dict[str, Any] | None]:
        """Return the book at each of these ids; None for an id that the venue no longer keeps."""
        query = {"ids": list(ids), "depth": depth}
        found: list[dict[str, Any] | None] = self._request("POST", f"/books/{venue}/{native}", query)["books"]
        return found

    def venues(self) -> dict[str, Any]:
        """Return the description of each venue."""
        found: dict[str, Any] = self._request("GET", "/venues")
        return found

    def _request(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  # any JSON document
        try:
            reply = self._client.request(method, path, json=body).raise_for_status()
            return reply.json() if reply.content else None
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            raise VenueUnavailable(f"the sandbox's admin API: {error}") from error
