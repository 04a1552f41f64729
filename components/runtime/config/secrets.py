"""Secrets: resolved from `env:` and `file:` references when needed, never printed or pickled; the seal key file."""

import os
from collections.abc import Mapping
from pathlib import Path
from secrets import token_bytes
from typing import Final, final

from typing_extensions import override

from components.contracts.errors import ConfigError
from components.runtime.config.schema import SECRET_REFERENCE_PATTERN
from components.runtime.filesystem import create_durable, make_private_folder
from components.runtime.logs import REDACTED
from components.runtime.paths import Paths

SEAL_KEY_BYTES: Final = 32
SECRET_BYTES_MAX: Final = 64 * 1024


@final
class Secret:
    """A secret whose value is returned only by `reveal`."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        """Wrap the bytes of a secret."""
        self._value = value

    def reveal(self) -> bytes:
        """Return the secret itself."""
        return self._value

    @override
    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    @override
    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret cannot be pickled or copied")


def resolve(reference: str, *, root: Path, environ: Mapping[str, str]) -> Secret:
    """Return the secret that a reference names. The ConfigError says how to fix a missing one."""
    match = SECRET_REFERENCE_PATTERN.fullmatch(reference)
    if match is None:
        raise ConfigError("a secret must be a reference: env:NAME or file:path")
    if match[1]:
        return _from_variable(match[2], environ)
    return Secret(read_private(root / match[4]).strip())


def read_private(path: Path) -> bytes:
    """Return the content of a file that only its owner may read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ConfigError(f"file:{path}: no such file; write the secret there and run: chmod 600 {path}") from None
    except OSError as error:
        raise ConfigError(f"file:{path}: {error.strerror or error}") from error
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            raise ConfigError(f"file:{path}: others may read it; run: chmod 600 {path}")
        return file.read(SECRET_BYTES_MAX)


def create_seal_key(paths: Paths) -> bool:
    """Create the key that risk and execution share. Return False if it exists already."""
    make_private_folder(paths.keys)
    return create_durable(paths.seal_key(), token_bytes(SEAL_KEY_BYTES))


def read_seal_key(paths: Paths) -> bytes:
    """Return the key that risk and execution share."""
    path = paths.seal_key()
    if not path.exists():
        raise ConfigError(f"{path}: no such file; create the key with: xtrader config create-seal-key")
    key = read_private(path)
    if len(key) != SEAL_KEY_BYTES:
        raise ConfigError(f"{path}: {len(key)} bytes, a seal key has {SEAL_KEY_BYTES}; restore it from a backup")
    return key


def _from_variable(name: str, environ: Mapping[str, str]) -> Secret:
    value = environ.get(name)
    if not value:
        raise ConfigError(f"env:{name}: the variable is not set; run: export {name}=…")
    return Secret(value.encode())
