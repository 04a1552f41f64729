"""Processes that a test module started and did not end: they are ended here, and the module fails."""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import psutil
import pytest

from tests.support.machine import scaled

MARK: Final = "TESTS_STARTED_BY"
LEAVE_S_MAX: Final = 3.0
"""How long a process that was told to exit may take after its test."""


class Leftovers:
    """A pytest plugin: every process that is started from here on carries a mark in its environment."""

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        os.environ[MARK] = self._mark

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """Search for such processes when the last fixture of a module was torn down."""
        yield
        if nextitem is not None and nextitem.path == item.path:
            return
        if left := self.end():
            pytest.fail(f"{item.path.name} left processes behind: " + "; ".join(left), pytrace=False)

    def end(self) -> list[str]:
        """End the processes that are left and return the commands of those that did not exit by themselves."""
        found = self._find()
        if not found:
            return []
        _, stubborn = psutil.wait_procs(found, timeout=scaled(LEAVE_S_MAX))
        commands = [_command(process) for process in stubborn]
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=scaled(LEAVE_S_MAX))
        return commands

    def _find(self) -> list[psutil.Process]:
        mine = psutil.Process()
        children = {one for one in mine.children(recursive=True) if _is_running(one)}
        return [*children, *(one for one in psutil.process_iter() if one not in children and self._is_marked(one))]

    def _is_marked(self, process: psutil.Process) -> bool:
        if process.pid == os.getpid():
            return False
        with suppress(psutil.Error, OSError):
            return process.environ().get(MARK) == self._mark
        return False


def _is_running(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())}"
    return f"{process.pid}"
