"""The model's library leaves nothing behind: no id on disk, nothing to send."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.runtime.config.settings import child_environment

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.integration


def test_loading_a_model_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    # In CI the library is silent anyway, and an import by other tests may have silenced it too.
    environment = child_environment({"HOME": str(tmp_path)})
    for name in ("CI", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "components.signals", "model", "--json"],
        cwd=PROJECT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []
