"""Says of each component whether it runs and is ready, from its manifest and its own word."""

from dataclasses import asdict, dataclass
from typing import Any

from components.runtime.manifest import read_manifest
from components.runtime.places import Places
from components.xtrader.children import CHILDREN, SANDBOX
from components.xtrader.vitals import readiness


@dataclass(frozen=True, slots=True)
class Condition:
    """One component as it is now; `detail` names what it waits for."""

    component: str
    state: str
    pid: int | None = None
    health_port: int | None = None
    version: str | None = None
    detail: str = ""

    def plain(self) -> dict[str, Any]:
        """Give names and values."""
        return asdict(self)

    def line(self) -> str:
        """Give what a person reads."""
        where = f"pid {self.pid}, http://127.0.0.1:{self.health_port}" if self.pid else ""
        return f"{self.component:<12} {self.state:<10} {where:<40} {self.detail}".rstrip()


def conditions(places: Places, *, with_sandbox: bool) -> list[Condition]:
    """Look at every component that belongs to the environment."""
    return [_condition(places, child.name) for child in CHILDREN if with_sandbox or child is not SANDBOX]


def _condition(places: Places, name: str) -> Condition:
    manifest = read_manifest(places, name)
    if manifest is None:
        return Condition(name, "down")
    found = readiness(manifest.health_port)
    state, detail = ("ready", "") if found.is_ready else ("not ready", found.detail)
    return Condition(name, state, manifest.pid, manifest.health_port, manifest.version, detail)
