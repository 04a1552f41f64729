"""Processes that a test module leaves behind are killed and named."""

import subprocess

import psutil
import pytest

from tests.support import leftovers
from tests.support.leftovers import MARK, Leftovers


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Leftovers:
    monkeypatch.setattr(leftovers, "LEAVE_S_MAX", 0.1)
    monkeypatch.setenv(MARK, "restored after the test")
    return Leftovers()


def test_a_child_and_an_orphan_are_killed_and_named_by_their_commands(plugin: Leftovers) -> None:
    with subprocess.Popen(["sleep", "61"]) as child:
        subprocess.run(["sh", "-c", "sleep 62 & sleep 0.1"], check=True)
        commands = [one.partition(" ")[2] for one in plugin.end()]
    assert sorted(commands) == ["sleep 61", "sleep 62"]
    assert child.returncode is not None
    assert not [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "62"]]


def test_a_process_that_ends_within_the_grace_period_is_not_named(plugin: Leftovers) -> None:
    with subprocess.Popen(["true"]):
        assert plugin.end() == []
