"""Prometheus's own tools accept the configuration, and each rule fires when it should."""

import subprocess
from pathlib import Path

import pytest

from tests.support.machine import scaled

pytestmark = [pytest.mark.e2e]

FOLDER = Path(__file__).resolve().parents[2] / "docker" / "prometheus"


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")],
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, check=False, capture_output=True, text=True, timeout=scaled(30)
    )
    assert done.returncode == 0, done.stdout + done.stderr
