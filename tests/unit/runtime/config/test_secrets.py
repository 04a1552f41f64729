"""A secret is resolved late, kept from other users, and never printed."""

import io
from copy import copy
from pathlib import Path

import pytest

from components.contracts.errors import ConfigError
from components.runtime import logs
from components.runtime.config.secrets import Secret, create_seal_key, read_seal_key, resolve
from components.runtime.logs import LogFormat
from components.runtime.paths import Paths

VALUE = "sesame-open-0815"


def paths_in(root: Path) -> Paths:
    return Paths(root=root, env="dev", account="sandbox", state=root / "s", run=root / "r", keys=root / "var/keys")


def written(path: Path, mode: int) -> Path:
    path.write_text(f"{VALUE}\n")
    path.chmod(mode)
    return path


def test_a_variable_is_a_secret(tmp_path: Path) -> None:
    assert resolve("env:KEY", root=tmp_path, environ={"KEY": VALUE}).reveal() == VALUE.encode()


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
def test_an_unset_variable_is_an_error_with_the_fix(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"^env:KEY: the variable is not set; run: export KEY=…$"):
        resolve("env:KEY", root=tmp_path, environ=environ)


def test_a_file_is_a_secret_without_its_line_end(tmp_path: Path) -> None:
    written(tmp_path / "key", 0o600)
    assert resolve("file:key", root=tmp_path, environ={}).reveal() == VALUE.encode()


def test_a_missing_file_is_an_error_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"key: no such file; write the secret there and run: chmod 600 .*key$"):
        resolve("file:key", root=tmp_path, environ={})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_is_rejected(tmp_path: Path, mode: int) -> None:
    written(tmp_path / "key", mode)
    with pytest.raises(ConfigError, match=r"others may read it; run: chmod 600 "):
        resolve("file:key", root=tmp_path, environ={})


@pytest.mark.parametrize("reference", [VALUE, "env:", "env:no-name", "aws:id", "file:"])
def test_an_invalid_reference_is_rejected_and_not_repeated(tmp_path: Path, reference: str) -> None:
    with pytest.raises(ConfigError, match=r"^a secret must be a reference: env:NAME or file:path$"):
        resolve(reference, root=tmp_path, environ={})


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret(VALUE.encode())
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}", repr(vars(type(secret)))):
        assert VALUE not in shown


def test_a_secret_is_not_copied_into_anything() -> None:
    with pytest.raises(TypeError, match="a secret cannot be pickled or copied"):
        copy(Secret(VALUE.encode()))


@pytest.mark.parametrize("look", [LogFormat.JSON, LogFormat.READABLE])
def test_a_hidden_secret_never_reaches_a_log_line(look: LogFormat) -> None:
    lines = io.StringIO()
    log = logs.configure("risk", style=look, to=lines)
    logs.redact(VALUE)
    error = ValueError(f"refused: {VALUE}")
    log.error("call_failed", headers={"key": VALUE}, detail=f"?key={VALUE}", secret=Secret(b"x"), exc_info=error)
    assert VALUE not in lines.getvalue()
    assert lines.getvalue().count("***") >= 4


def test_the_seal_is_made_once(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    assert create_seal_key(paths)
    first = read_seal_key(paths)
    assert not create_seal_key(paths)
    assert read_seal_key(paths) == first
    assert len(first) == 32


def test_the_seal_and_its_folder_are_private(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    create_seal_key(paths)
    assert paths.seal_key().stat().st_mode & 0o777 == 0o600
    assert paths.keys.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in paths.keys.iterdir()] == ["seal"]


def test_a_missing_seal_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"seal: no such file; create the key with: xtrader config create-seal-key$"):
        read_seal_key(paths_in(tmp_path))


def test_a_seal_of_another_length_is_refused(tmp_path: Path) -> None:
    paths = paths_in(tmp_path)
    create_seal_key(paths)
    paths.seal_key().write_bytes(b"short")
    with pytest.raises(ConfigError, match=r"seal: 5 bytes, a seal key has 32"):
        read_seal_key(paths)
