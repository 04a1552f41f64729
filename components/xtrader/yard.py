"""Launches the real processes, each with its own log file, and asks them how they are."""

import ctypes
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from components.contracts.errors import IoFailed
from components.runtime.config import environment_with
from components.runtime.manifest import Manifest, read_manifest, write_manifest
from components.runtime.places import Places
from components.runtime.told import write_told
from components.xtrader.children import SANDBOX, Child, VenueAddress
from components.xtrader.vitals import Readiness, readiness

LOG_BYTES_KEPT_MAX: Final = 16 * 1024 * 1024
"""A log longer than this is set aside as .1 when its process starts; the one before is replaced."""

FREE_PORT: Final = {"XTRADER__RUNTIME__HEALTH_PORT": "0"}
"""A fixed one is for processes that run by themselves; here five would want it."""

PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None, use_errno=True)


class ProcessYard:
    """Starts children of this machine; the sandbox's address is learnt from its first line and kept."""

    def __init__(
        self,
        places: Places,
        sandbox_arguments: Sequence[str],
        now_ns: Callable[[], int],
        address: VenueAddress | None = None,
    ) -> None:
        """Take the venue's address where there is no sandbox to ask."""
        self._places = places
        self._sandbox_arguments = tuple(sandbox_arguments)
        self._now_ns = now_ns
        self.address = address

    def launch(self, child: Child) -> "subprocess.Popen[bytes]":
        """Start the process; it is asked to stop should this one die."""
        log = self.log_path(child)
        try:
            log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if log.exists() and log.stat().st_size > LOG_BYTES_KEPT_MAX:
                log.replace(log.with_suffix(".log.1"))
            with log.open("ab") as errors, self._output(child).open("wb") as output:
                return subprocess.Popen(
                    child.command(*self._arguments(child)),
                    env=environment_with(self.variables),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    start_new_session=True,
                    preexec_fn=stop_with_parent,  # noqa: PLW1509  # one thread here, and no child may outlive it
                )
        except OSError as error:
            raise IoFailed(f"cannot start {child.name}: {error}") from error

    @property
    def variables(self) -> Mapping[str, str]:
        """What every child is told beside our own environment: the venue, and to take a free port of its own."""
        return {**(self.address.environment() if self.address else {}), **FREE_PORT}

    def look(self, child: Child, pid: int) -> Readiness:
        """Ask the child's health port."""
        if child is SANDBOX:
            self._introduce_sandbox(pid)
        return readiness(self.health_port(child, pid))

    def health_port(self, child: Child, pid: int) -> int | None:
        """Find the port in the manifest of this very process."""
        manifest = read_manifest(self._places, child.name)
        return manifest.health_port if manifest is not None and manifest.pid == pid else None

    def log_path(self, child: Child) -> Path:
        """Name the file that the child's log goes to."""
        return self._places.state / "logs" / f"{child.name}.log"

    def _arguments(self, child: Child) -> Sequence[str]:
        if child is not SANDBOX:
            return ()
        # A dead sandbox comes back where everybody looks for it.
        ports = () if self.address is None else _ports(self.address)
        return (*self._sandbox_arguments, *ports)

    def _output(self, child: Child) -> Path:
        return self._places.run / f"{child.name}.out"

    def _introduce_sandbox(self, pid: int) -> None:
        """Write the manifest of a venue that knows nothing of this run folder, once it said where it is."""
        if self.health_port(SANDBOX, pid) is not None:
            return
        line, complete, _ = self._output(SANDBOX).read_text().partition("\n")
        if not complete:
            return
        self.address = msgspec.json.decode(line, type=VenueAddress)
        write_told(self._places, self.address.environment())
        manifest = Manifest(
            name=SANDBOX.name,
            pid=pid,
            version=version("xtrader"),
            started_at_ns=self._now_ns(),
            env=self._places.env,
            account=self._places.account,
            health_host="127.0.0.1",
            health_port=int(_port(self.address.admin_url)),
            endpoints=_endpoints(self.address),
        )
        write_manifest(self._places, manifest)


def _endpoints(address: VenueAddress) -> Mapping[str, str]:
    return {
        "trading": address.trading_url,
        "stream": address.stream_url,
        "data": address.data_url,
        "admin": address.admin_url,
    }


def _ports(address: VenueAddress) -> tuple[str, ...]:
    venues = ",".join(f"{name}={_port(urls.rest_url)}" for name, urls in address.venues.items())
    fixed = ("--port", _port(address.trading_url), "--admin-port", _port(address.admin_url))
    return (*fixed, "--venue-ports", venues) if venues else fixed


def _port(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition(":")[2]


def stop_with_parent() -> None:
    """Have the kernel ask this new child to stop should its parent die."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
