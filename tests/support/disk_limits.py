"""Disks that are full or read-only, made with what this machine allows."""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest


def _cannot(reason: str) -> NoReturn:
    """Fail for root, who must be able to do this; skip for other users, with the reason."""
    if os.geteuid() == 0:
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only: by permission bits, and for root by the file system's immutable flag."""
    folder.chmod(0o500)
    sealed = os.access(folder, os.W_OK) and _done("chattr", "+i", str(folder))
    try:
        if os.access(folder, os.W_OK) and not sealed:
            _cannot("nothing on this machine keeps this user from writing")
        yield
    finally:
        if sealed:
            _done("chattr", "-i", str(folder))
        folder.chmod(0o700)


@contextmanager
def small_disk(folder: Path, *, kilobytes: int) -> Iterator[None]:
    """Mount a disk of this size, where mounting is allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not _done("mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode=700", "none", str(folder)):
        _cannot("this user may not mount a disk")
    try:
        yield
    finally:
        _done("umount", "--lazy", str(folder))


def fill(folder: Path) -> Path:
    """Write until the disk is full and return the file that fills it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4_096)):
                continue
        except OSError:
            return filler
    raise AssertionError("this disk has no end")


def limit_file_size(pid: int, file_bytes_max: int) -> None:
    """Limit the size of files that a running process may write; its successor is not limited."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (file_bytes_max, hard))


def _done(*command: str) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
