"""One real component in a process of its own, with state of its own, and what can be observed of it from outside."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from components.runtime.config.settings import child_environment, load_settings
from components.runtime.paths import Paths
from components.runtime.process.manifest import Manifest, read_manifest
from tests.support.machine import scaled

PROJECT = Path(__file__).resolve().parents[2]
EXIT_S_MAX = 15


class ComponentProcess:
    """A component that runs from `start` on, or for the length of a `with` block."""

    def __init__(
        self, name: str, state: Path, overrides: Mapping[str, str], command: Sequence[str] | None = None
    ) -> None:
        self.name, self._log = name, state / f"{name}.log"
        self._command = command or ("-m", f"components.{name}", "run")
        folders = {"XTRADER__RUNTIME__STATE_DIR": str(state / "var"), "XTRADER__RUNTIME__RUN_DIR": str(state / "r")}
        self._environment = child_environment({**folders, **overrides})
        self.paths: Paths = load_settings(environ=self._environment).paths

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """Everything on standard error until now."""
        return self._log.read_text()

    def start(self) -> None:
        """Start it, the first time or again."""
        with self._log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, *self._command], cwd=PROJECT, env=self._environment, stderr=errors
            )

    def is_ready(self) -> bool:
        """Return whether this very process is ready."""
        assert self.process.poll() is None, self.log
        manifest = read_manifest(self.paths, self.name)
        if manifest is None or manifest.pid != self.process.pid:
            return False
        try:
            return httpx.get(page_url(manifest, "readyz"), timeout=scaled(2)).status_code == 200
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(scaled(EXIT_S_MAX))
        finally:
            self.process.kill()


def page_url(manifest: Manifest, page: str) -> str:
    """Return the URL of one of a process's health pages."""
    return f"http://{manifest.health_host}:{manifest.health_port}/{page}"


def counter_by_label(paths: Paths, component: str, metric: str, label: str) -> Counter[str]:
    """Return a counter from the metrics page of a running process, by one label; zeros are left out."""
    manifest = read_manifest(paths, component)
    assert manifest is not None, f"{component} does not run"
    page = httpx.get(page_url(manifest, "metrics"), timeout=scaled(5)).text
    found: Counter[str] = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == f"xtrader_{metric}_total":
                found[sample.labels[label]] += int(sample.value)
    return +found
