"""Where things are on disk."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from components.contracts.errors import ConfigError
from components.runtime.filesystem import make_private_folder

SOCKET_PATH_BYTES_MAX: Final = 107
"""The kernel's bound on the path of a local socket."""
SOCKET_NAME_BYTES_MAX: Final = 24


@dataclass(frozen=True, slots=True)
class Paths:
    """Every folder of one account in one environment, and the names in them."""

    root: Path
    """The project: the folder that the config folder is in."""
    env: str
    account: str
    state: Path
    """What survives: <state_dir>/<env>/<account>."""
    run: Path
    """What lives as long as its process: sockets, locks, manifests; short and private."""
    keys: Path

    def create_run_dir(self) -> None:
        """Make the run folder; the others are made by whoever first has something to keep."""
        if self.run.parent.name == _user_dir_name():
            make_private_folder(self.run.parent)
        make_private_folder(self.run)

    def journal(self, name: str) -> Path:
        """Name the folder of a component's journal."""
        return self.state / name

    def seal_key(self) -> Path:
        """Name the file of the key that risk and execution share."""
        return self.keys / "seal"

    def lock(self, name: str) -> Path:
        """Name the file that a running process holds."""
        return self.run / f"{name}.lock"

    def manifest(self, name: str) -> Path:
        """Name the file where a running process says how it is reached."""
        return self.run / f"{name}.json"

    def ready(self, name: str) -> Path:
        """Name the file that a process renews while it is ready."""
        return self.run / f"{name}.ready"

    def socket(self, name: str) -> Path:
        """Name a local socket; one that the kernel would not bind is refused."""
        if len(name.encode()) > SOCKET_NAME_BYTES_MAX:
            raise ConfigError(f"socket name {name}: {len(name.encode())} bytes, at most {SOCKET_NAME_BYTES_MAX}")
        return self.run / name


def choose_run_dir(bases: Iterable[Path], *, root: Path, env: str, account: str) -> Path:
    """Choose a short folder of our own below the first base that leaves room for socket names."""
    identity = blake2b(f"{root}\0{env}\0{account}".encode(), digest_size=4).hexdigest()
    tried = [base / _user_dir_name() / identity for base in bases]
    for folder in tried:
        if fits_socket_paths(folder) and os.access(folder.parent.parent, os.W_OK | os.X_OK):
            return folder
    raise ConfigError(f"runtime.run_dir: no usable folder for sockets among {', '.join(map(str, tried))}; set one")


def fits_socket_paths(folder: Path) -> bool:
    """Say whether the sockets in this folder have paths that the kernel binds."""
    return len(os.fsencode(folder)) + 1 + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX


def _user_dir_name() -> str:
    return f"xtrader-{os.geteuid()}"
