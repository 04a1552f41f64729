"""Health checks over HTTP, and the status of every component from its manifest and its /readyz."""

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
    """Whether a component is ready, and if not, its unmet conditions."""

    is_ready: bool
    detail: str


class _ReadyzBody(msgspec.Struct):
    unmet: tuple[str, ...] = ()


def probe_readiness(port: int | None) -> Readiness:
    """Request /readyz; without a port or a response the component is not ready."""
    if port is None:
        return Readiness(is_ready=False, detail="starting")
    response = _get(port, "/readyz")
    if response is None:
        return Readiness(is_ready=False, detail="no response")
    status, body = response
    return Readiness(is_ready=status == http.HTTPStatus.OK, detail=_unmet_conditions(body))


def fetch_metrics(port: int | None) -> str | None:
    """Return the /metrics page; None without a response."""
    response = None if port is None else _get(port, "/metrics")
    return response[1] if response and response[0] == http.HTTPStatus.OK else None


def _unmet_conditions(body: str) -> str:
    try:
        return ", ".join(msgspec.json.decode(body, type=_ReadyzBody).unmet)
    except msgspec.MsgspecError:
        return body.strip()


def _get(port: int, path: str) -> tuple[int, str] | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=RESPONSE_S_MAX)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read(RESPONSE_BYTES_MAX).decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """The state of one component; `detail` names its unmet conditions."""

    component: str
    state: str
    pid: int | None = None
    health_port: int | None = None
    version: str | None = None
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for the JSON output."""
        return asdict(self)

    def as_text(self) -> str:
        """Return the line for a person."""
        address = f"pid {self.pid}, http://127.0.0.1:{self.health_port}" if self.pid else ""
        return f"{self.component:<12} {self.state:<10} {address:<40} {self.detail}".rstrip()


def component_statuses(paths: Paths, *, with_sandbox: bool) -> list[ComponentStatus]:
    """Return the status of every component of the environment."""
    return [_component_status(paths, spec.name) for spec in PROCESSES if with_sandbox or spec is not SANDBOX]


def _component_status(paths: Paths, name: str) -> ComponentStatus:
    manifest = read_manifest(paths, name)
    if manifest is None:
        return ComponentStatus(name, "down")
    readiness = probe_readiness(manifest.health_port)
    state, detail = ("ready", "") if readiness.is_ready else ("not ready", readiness.detail)
    return ComponentStatus(name, state, manifest.pid, manifest.health_port, manifest.version, detail)
