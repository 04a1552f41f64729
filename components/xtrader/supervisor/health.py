"""Asks a component how it is, over its health port.

Says of each component whether it runs and is ready, from its manifest and its own word.
"""

import http.client
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec

from components.runtime.paths import Paths
from components.runtime.process.manifest import read_manifest
from components.xtrader.supervisor.processes import PROCESSES, SANDBOX

RESPONSE_S_MAX: Final = 1.0


RESPONSE_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a component is ready, and if not, what it waits for."""

    is_ready: bool
    detail: str


class _ReadyzBody(msgspec.Struct):
    unmet: tuple[str, ...] = ()


def probe_readiness(port: int | None) -> Readiness:
    """Ask /readyz; no port or no answer is not ready."""
    if port is None:
        return Readiness(is_ready=False, detail="starting")
    answer = _get(port, "/readyz")
    if answer is None:
        return Readiness(is_ready=False, detail="does not answer")
    status, body = answer
    return Readiness(is_ready=status == http.HTTPStatus.OK, detail=_unmet_conditions(body))


def fetch_metrics(port: int | None) -> str | None:
    """Fetch /metrics; None when nobody answers."""
    answer = None if port is None else _get(port, "/metrics")
    return answer[1] if answer and answer[0] == http.HTTPStatus.OK else None


def _unmet_conditions(body: str) -> str:
    try:
        return ", ".join(msgspec.json.decode(body, type=_ReadyzBody).unmet)
    except msgspec.MsgspecError:
        return body.strip()


def _get(port: int, path: str) -> tuple[int, str] | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=RESPONSE_S_MAX)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(RESPONSE_BYTES_MAX).decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """One component as it is now; `detail` names what it waits for."""

    component: str
    state: str
    pid: int | None = None
    health_port: int | None = None
    version: str | None = None
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give names and values."""
        return asdict(self)

    def as_text(self) -> str:
        """Give what a person reads."""
        where = f"pid {self.pid}, http://127.0.0.1:{self.health_port}" if self.pid else ""
        return f"{self.component:<12} {self.state:<10} {where:<40} {self.detail}".rstrip()


def component_statuses(paths: Paths, *, with_sandbox: bool) -> list[ComponentStatus]:
    """Look at every component that belongs to the environment."""
    return [_component_status(paths, child.name) for child in PROCESSES if with_sandbox or child is not SANDBOX]


def _component_status(paths: Paths, name: str) -> ComponentStatus:
    manifest = read_manifest(paths, name)
    if manifest is None:
        return ComponentStatus(name, "down")
    found = probe_readiness(manifest.health_port)
    state, detail = ("ready", "") if found.is_ready else ("not ready", found.detail)
    return ComponentStatus(name, state, manifest.pid, manifest.health_port, manifest.version, detail)
