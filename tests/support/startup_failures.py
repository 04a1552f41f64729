"""A component that is started once and is expected to refuse: its exit code and its messages."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from components.runtime.config.settings import child_environment, load_settings
from components.runtime.paths import Paths
from tests.support.configuration_folder import ConfigurationFolder, shipped_configuration
from tests.support.machine import scaled

PROJECT = Path(__file__).resolve().parents[2]
EXIT_S_MAX = 30
KEYS = {"APCA_API_KEY_ID": "PK0", "APCA_API_SECRET_KEY": "secret"}


@dataclass(frozen=True)
class ExitResult:
    """An exit code and the messages for a person; log lines are left out."""

    code: int
    messages: list[str]


@dataclass(frozen=True)
class IsolatedInstallation:
    """Configuration, state and run folder of a test's own."""

    folder: ConfigurationFolder
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> Paths:
        """The paths of its state and run folder."""
        return load_settings(environ=self._environment({})).paths

    def run(self, component: str, *, without: str = "", errors_to: str | None = None, **overrides: str) -> ExitResult:
        """Run a component, or `xtrader up`, to its end; its standard error may go to a file instead."""
        command = ("up", "--headless", "--json") if component == "xtrader" else ("run",)
        environment = self._environment(overrides)
        environment.pop(without, None)
        with Path(errors_to).open("w") if errors_to else nullcontext(subprocess.PIPE) as errors:
            done = subprocess.run(
                [sys.executable, "-m", f"components.{component}", *command],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                text=True,
                check=False,
                timeout=scaled(EXIT_S_MAX),
            )
        lines = (done.stderr or "").splitlines()
        return ExitResult(done.returncode, [line for line in lines if not line.startswith("{")])

    def _environment(self, overrides: Mapping[str, str]) -> dict[str, str]:
        return child_environment({**self.folder.environ(), **KEYS, **self.environment, **overrides})


def isolated_installation(root: Path) -> IsolatedInstallation:
    """Create an installation of what the project ships, with state of its own and log lines in JSON."""
    folder = shipped_configuration(root)
    (root / "models").symlink_to(PROJECT / "models")
    own = {"STATE_DIR": str(root / "var"), "RUN_DIR": str(root / "r"), "LOG_FORMAT": "json"}
    return IsolatedInstallation(folder, {f"XTRADER__RUNTIME__{name}": value for name, value in own.items()})
