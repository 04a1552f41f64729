"""How a running process is reached: `run/<name>.json`."""

import os
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from components.runtime.filesystem import write_atomic
from components.runtime.paths import Paths


class Manifest(Struct, frozen=True, kw_only=True):
    """What a process says of itself while it runs."""

    name: str
    pid: int
    version: str
    started_at_ns: int
    env: str
    account: str
    health_host: str
    health_port: int
    endpoints: Mapping[str, str] = {}


def write_manifest(paths: Paths, manifest: Manifest) -> None:
    """Publish it; a reader sees the one before or this one."""
    write_atomic(paths.manifest(manifest.name), msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def read_manifest(paths: Paths, name: str) -> Manifest | None:
    """Read what a process says of itself; None where it said nothing or is no more."""
    try:
        manifest = msgspec.json.decode(paths.manifest(name).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
    return manifest if _is_alive(manifest.pid) else None


def remove_manifest(paths: Paths, name: str) -> None:
    """Take it away, unless it is somebody else's by now."""
    manifest = read_manifest(paths, name)
    if manifest is not None and manifest.pid == os.getpid():
        paths.manifest(name).unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
