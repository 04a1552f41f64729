"""Launches the child processes, each with its own log file, and probes their health ports."""

import ctypes
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from components.contracts.errors import StorageError
from components.runtime.config.layers import write_overlay
from components.runtime.config.settings import child_environment
from components.runtime.paths import Paths
from components.runtime.process.manifest import Manifest, read_manifest, write_manifest
from components.xtrader.supervisor.health import Readiness, probe_readiness
from components.xtrader.supervisor.processes import SANDBOX, ProcessSpec, VenueEndpoints

LOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""A longer log is moved to .log.1, replacing the one before, when its process starts."""
EPHEMERAL_HEALTH_PORT: Final = {"XTRADER__RUNTIME__HEALTH_PORT": "0"}
"""A fixed port is for processes that run alone; under `up` five processes would bind the same one."""
PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None, use_errno=True)


class ProcessLauncher:
    """Launches child processes on this machine.

    The sandbox's endpoints are read from its first line of output and kept.
    """

    def __init__(
        self,
        paths: Paths,
        sandbox_arguments: Sequence[str],
        now_ns: Callable[[], int],
        endpoints: VenueEndpoints | None = None,
    ) -> None:
        """`endpoints` are those of the real venue; None if a sandbox runs."""
        self._paths = paths
        self._sandbox_arguments = tuple(sandbox_arguments)
        self._now_ns = now_ns
        self.endpoints = endpoints

    def launch(self, spec: ProcessSpec) -> "subprocess.Popen[bytes]":
        """Start the process; the kernel terminates it if this process ends."""
        log = self.log_path(spec)
        try:
            log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
                log.replace(log.with_suffix(".log.1"))
            with log.open("ab") as errors, self._output_path(spec).open("wb") as output:
                return subprocess.Popen(
                    spec.command(*self._arguments(spec)),
                    env=child_environment(self.child_variables),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                    preexec_fn=stop_with_parent,  # noqa: PLW1509  # one thread here, and no child may outlive it
                )
        except OSError as error:
            raise StorageError(f"cannot start {spec.name}: {error}") from error

    @property
    def child_variables(self) -> Mapping[str, str]:
        """The environment variables added for every child: the venue's endpoints and an ephemeral health port."""
        return {**(self.endpoints.environment() if self.endpoints else {}), **EPHEMERAL_HEALTH_PORT}

    def probe(self, spec: ProcessSpec, pid: int) -> Readiness:
        """Return the child's readiness."""
        if spec is SANDBOX:
            self._register_sandbox(pid)
        return probe_readiness(self.health_port(spec, pid))

    def health_port(self, spec: ProcessSpec, pid: int) -> int | None:
        """Return the port from the manifest of this very process; None if there is none yet."""
        manifest = read_manifest(self._paths, spec.name)
        return manifest.health_port if manifest is not None and manifest.pid == pid else None

    def log_path(self, spec: ProcessSpec) -> Path:
        """Return the path of the child's log file."""
        return self._paths.state / "logs" / f"{spec.name}.log"

    def _arguments(self, spec: ProcessSpec) -> Sequence[str]:
        if spec is not SANDBOX:
            return ()
        # A restarted sandbox binds the same ports, so that its clients find it again.
        ports = () if self.endpoints is None else _port_arguments(self.endpoints)
        return (*self._sandbox_arguments, *ports)

    def _output_path(self, spec: ProcessSpec) -> Path:
        return self._paths.run / f"{spec.name}.out"

    def _register_sandbox(self, pid: int) -> None:
        """Write the manifest of the sandbox, which does not know the run folder, once it has printed its endpoints."""
        if self.health_port(SANDBOX, pid) is not None:
            return
        line, complete, _ = self._output_path(SANDBOX).read_text().partition("\n")
        if not complete:
            return
        self.endpoints = msgspec.json.decode(line, type=VenueEndpoints)
        write_overlay(self._paths, self.endpoints.environment())
        manifest = Manifest(
            name=SANDBOX.name,
            pid=pid,
            version=version("xtrader"),
            started_at_ns=self._now_ns(),
            env=self._paths.env,
            account=self._paths.account,
            health_host="127.0.0.1",
            health_port=int(_port(self.endpoints.admin_url)),
            endpoints=_manifest_endpoints(self.endpoints),
        )
        write_manifest(self._paths, manifest)


def _manifest_endpoints(endpoints: VenueEndpoints) -> Mapping[str, str]:
    return {
        "trading": endpoints.trading_url,
        "stream": endpoints.stream_url,
        "data": endpoints.data_url,
        "admin": endpoints.admin_url,
    }


def _port_arguments(endpoints: VenueEndpoints) -> tuple[str, ...]:
    venues = ",".join(f"{name}={_port(urls.rest_url)}" for name, urls in endpoints.venues.items())
    fixed = ("--port", _port(endpoints.trading_url), "--admin-port", _port(endpoints.admin_url))
    return (*fixed, "--venue-ports", venues) if venues else fixed


def _port(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition(":")[2]


def stop_with_parent() -> None:
    """Have the kernel send SIGTERM to this new child if its parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
