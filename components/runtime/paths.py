"""Where state, run and key files of one account are."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from components.contracts.errors import ConfigError
from components.runtime.filesystem import make_private_folder

SOCKET_PATH_BYTES_MAX: Final = 107
"""The kernel's limit for the path of a Unix domain socket."""
SOCKET_NAME_BYTES_MAX: Final = 24


@dataclass(frozen=True, slots=True)
class Paths:
    """The folders of one account in one environment, and the names in them."""

    root: Path
    """The folder that contains the config folder."""
    env: str
    account: str
    state: Path
    """Durable state: <state_dir>/<env>/<account>."""
    run: Path
    """What exists only while a process runs: sockets, locks, manifests. Its path is short, and it is private."""
    keys: Path

    def create_run_dir(self) -> None:
        """Create the run folder. The other folders are created when something is first written to them."""
        if self.run.parent.name == _user_dir_name():
            make_private_folder(self.run.parent)
        make_private_folder(self.run)

    def journal(self, name: str) -> Path:
        """Return the folder of a component's journal."""
        return self.state / name

    def seal_key(self) -> Path:
        """Return the file of the key that risk and execution share."""
        return self.keys / "seal"

    def lock(self, name: str) -> Path:
        """Return the lock file of a process."""
        return self.run / f"{name}.lock"

    def manifest(self, name: str) -> Path:
        """Return the manifest file of a process."""
        return self.run / f"{name}.json"

    def ready(self, name: str) -> Path:
        """Return the file that a process renews while it is ready."""
        return self.run / f"{name}.ready"

    def socket(self, name: str) -> Path:
        """Return the path of a socket. Raises ConfigError if its name is too long to be bound."""
        if len(name.encode()) > SOCKET_NAME_BYTES_MAX:
            raise ConfigError(f"socket name {name}: {len(name.encode())} bytes, at most {SOCKET_NAME_BYTES_MAX}")
        return self.run / name


def choose_run_dir(bases: Iterable[Path], *, root: Path, env: str, account: str) -> Path:
    """Return a short private folder below the first base where socket paths fit."""
    identity = blake2b(f"{root}\0{env}\0{account}".encode(), digest_size=4).hexdigest()
    tried = [base / _user_dir_name() / identity for base in bases]
    for folder in tried:
        if fits_socket_paths(folder) and os.access(folder.parent.parent, os.W_OK | os.X_OK):
            return folder
    raise ConfigError(f"runtime.run_dir: no usable folder for sockets among {', '.join(map(str, tried))}; set one")


def fits_socket_paths(folder: Path) -> bool:
    """Return whether the kernel binds the socket paths of this folder."""
    return len(os.fsencode(folder)) + 1 + SOCKET_NAME_BYTES_MAX <= SOCKET_PATH_BYTES_MAX


def _user_dir_name() -> str:
    return f"xtrader-{os.geteuid()}"
