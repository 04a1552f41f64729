"""Folders are short enough for sockets, and private."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from components.contracts.errors import ConfigError
from components.runtime.filesystem import create_durable, make_private_folder, write_atomic
from components.runtime.paths import (
    SOCKET_NAME_BYTES_MAX,
    SOCKET_PATH_BYTES_MAX,
    Paths,
    choose_run_dir,
    fits_socket_paths,
)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for sockets, which one named after a test may not."""
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
    places = Paths(root=tmp_path, env="dev", account="a", state=tmp_path, run=tmp_path, keys=tmp_path)
    with pytest.raises(ConfigError, match="25 bytes, at most 24"):
        places.socket("x" * 25)


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigError, match="others may enter it; run: chmod 700"):
        make_private_folder(tmp_path / "open")


def test_a_link_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="is not a folder of user"):
        make_private_folder(tmp_path / "link")


def test_a_made_folder_and_its_parents_are_private(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a/b")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]


def test_a_whole_file_replaces_the_one_before(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        write_atomic(tmp_path / "file", content)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_a_file_written_once_is_left_alone(tmp_path: Path) -> None:
    assert create_durable(tmp_path / "file", b"first")
    assert not create_durable(tmp_path / "file", b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"first")]
