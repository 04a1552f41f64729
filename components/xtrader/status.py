"""Says of each component whether it runs and is ready, from its manifest and its own word."""

from dataclasses import asdict, dataclass
from typing import Any

from components.runtime.manifest import read_manifest
from components.runtime.places import Paths
from components.xtrader.children import PROCESSES, SANDBOX
from components.xtrader.vitals import probe_readiness


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
