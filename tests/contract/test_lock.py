"""What is installed is what is locked: nothing else, nothing less, nothing newer."""

import re
from importlib.metadata import distributions

from tests.support.project import ROOT

LOCKED = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE))
INSTALLED = {re.sub(r"[-_.]+", "-", one.name).lower(): one.version for one in distributions()}
OURS = {"xtrader", "pip", "setuptools"}  # the project itself, and what a new environment starts with


def test_every_locked_version_is_the_one_installed() -> None:
    assert {name: INSTALLED.get(name) for name in LOCKED} == LOCKED


def test_nothing_is_installed_that_is_not_locked() -> None:
    assert not INSTALLED.keys() - LOCKED.keys() - OURS
