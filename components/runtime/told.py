"""What a running `up` told its children beside the configuration: the sandbox's address and keys."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from components.runtime.files import write_atomic
from components.runtime.places import Paths

OVERLAY_FILE: Final = "told.json"


class EnvironmentOverlay(Struct, frozen=True):
    """Variables that hold as long as the process that told them lives."""

    pid: int
    variables: dict[str, str]


def write_overlay(paths: Paths, variables: Mapping[str, str]) -> None:
    """Leave them (0600) for the verbs of the same run folder; only a sandbox's keys may be left so."""
    write_atomic(_overlay_path(paths), msgspec.json.encode(EnvironmentOverlay(os.getpid(), dict(variables))))


def read_overlay(paths: Paths) -> Mapping[str, str]:
    """Give what a living `up` told; nothing where none does."""
    try:
        told = msgspec.json.decode(_overlay_path(paths).read_bytes(), type=EnvironmentOverlay)
        os.kill(told.pid, 0)
    except (OSError, msgspec.MsgspecError, ValueError):
        return {}
    return told.variables


def remove_overlay(paths: Paths) -> None:
    """Take it away at the end."""
    _overlay_path(paths).unlink(missing_ok=True)


def _overlay_path(paths: Paths) -> Path:
    return paths.run / OVERLAY_FILE
