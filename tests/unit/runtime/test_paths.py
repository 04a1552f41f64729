"""The run folder leaves room for socket paths."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from components.contracts.errors import ConfigError
from components.runtime.paths import (
    SOCKET_NAME_BYTES_MAX,
    SOCKET_PATH_BYTES_MAX,
    Paths,
    choose_run_dir,
    fits_socket_paths,
)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a path short enough for sockets; pytest's own folder may be too long."""
    with TemporaryDirectory(prefix="x") as folder:
        yield Path(folder)


def run_folder(*bases: Path, root: str = "/project", env: str = "dev", account: str = "sandbox") -> Path:
    return choose_run_dir(bases, root=Path(root), env=env, account=account)


def test_a_derived_run_folder_is_short_and_ours(short: Path) -> None:
    folder = run_folder(short)
    assert folder.parent == short / f"xtrader-{os.geteuid()}"
    assert len(folder.name) == 8


def test_root_environment_and_account_each_have_their_own_run_folder(short: Path) -> None:
    folders = {
        run_folder(short),
        run_folder(short, root="/other"),
        run_folder(short, env="prod"),
        run_folder(short, account="paper"),
    }
    assert len(folders) == 4


def test_a_base_that_cannot_be_used_is_passed_over(short: Path) -> None:
    assert run_folder(short / "none", short / ("x" * 90), short) == run_folder(short)


def test_no_usable_base_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^runtime.run_dir: no usable folder for sockets among .*none/.*; set one$"):
        run_folder(tmp_path / "none")


def test_the_longest_socket_name_just_fits() -> None:
    room = SOCKET_PATH_BYTES_MAX - SOCKET_NAME_BYTES_MAX - 1
    assert fits_socket_paths(Path("/" + "x" * (room - 1)))
    assert not fits_socket_paths(Path("/" + "x" * room))


def test_a_socket_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    paths = Paths(root=tmp_path, env="dev", account="a", state=tmp_path, run=tmp_path, keys=tmp_path)
    with pytest.raises(ConfigError, match="25 bytes, at most 24"):
        paths.socket("x" * 25)
