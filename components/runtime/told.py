"""What a running `up` told its children beside the configuration: the sandbox's address and keys."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from components.runtime.files import write_whole
from components.runtime.places import Places

NAME: Final = "told.json"


class Told(Struct, frozen=True):
    """Variables that hold as long as the process that told them lives."""

    pid: int
    variables: dict[str, str]


def write_told(places: Places, variables: Mapping[str, str]) -> None:
    """Leave them (0600) for the verbs of the same run folder; only a sandbox's keys may be left so."""
    write_whole(_path(places), msgspec.json.encode(Told(os.getpid(), dict(variables))))


def read_told(places: Places) -> Mapping[str, str]:
    """Give what a living `up` told; nothing where none does."""
    try:
        told = msgspec.json.decode(_path(places).read_bytes(), type=Told)
        os.kill(told.pid, 0)
    except (OSError, msgspec.MsgspecError, ValueError):
        return {}
    return told.variables


def remove_told(places: Places) -> None:
    """Take it away at the end."""
    _path(places).unlink(missing_ok=True)


def _path(places: Places) -> Path:
    return places.run / NAME
