"""The manifest of a running process, `run/<name>.json`: how it is reached."""

import os
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from components.runtime.filesystem import write_atomic
from components.runtime.paths import Paths


class Manifest(Struct, frozen=True, kw_only=True):
    """What a running process publishes about itself."""

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
    """Write the manifest atomically."""
    write_atomic(paths.manifest(manifest.name), msgspec.json.format(msgspec.json.encode(manifest), indent=1))


def read_manifest(paths: Paths, name: str) -> Manifest | None:
    """Return the manifest of a process, or None if there is none or the process has ended."""
    try:
        manifest = msgspec.json.decode(paths.manifest(name).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None
    return manifest if _is_alive(manifest.pid) else None


def remove_manifest(paths: Paths, name: str) -> None:
    """Remove the manifest unless it belongs to another process."""
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
