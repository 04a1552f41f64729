"""Private folders, atomic and durable files, and the type of the file system that holds a folder."""

from pathlib import Path

import pytest

from components.contracts.errors import ConfigError
from components.runtime.filesystem import create_durable, file_system_of, make_private_folder, write_atomic

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
25 22 0:22 / /run/user rw,nosuid - tmpfs tmpfs rw
26 22 0:23 / /a\\040b rw shared:2 - ramfs none rw
27 22 8:2 / /data rw - xfs /dev/sdb1 rw
28 27 0:30 / /data rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/log", "ext4"),
        ("/run", "ext4"),
        ("/run/user", "tmpfs"),
        ("/run/user/risk", "tmpfs"),
        ("/run/username", "ext4"),
        ("/a b/risk", "ramfs"),
        ("/data/risk", "tmpfs"),
    ],
)
def test_the_nearest_and_latest_mount_holds_the_folder(folder: str, kind: str) -> None:
    assert file_system_of(Path(folder), MOUNTS) == kind


def test_a_folder_that_others_may_enter_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(ConfigError, match="others may enter it; run: chmod 700"):
        make_private_folder(tmp_path / "open")


def test_a_link_in_place_of_a_folder_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="must be a folder owned by user"):
        make_private_folder(tmp_path / "link")


def test_a_created_folder_and_its_parents_are_private(tmp_path: Path) -> None:
    make_private_folder(tmp_path / "a/b")
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b")] == [0o700, 0o700]


def test_an_atomic_write_replaces_the_file(tmp_path: Path) -> None:
    for content in (b"old", b"new"):
        write_atomic(tmp_path / "file", content)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_an_existing_file_is_not_created_again(tmp_path: Path) -> None:
    assert create_durable(tmp_path / "file", b"first")
    assert not create_durable(tmp_path / "file", b"second")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"first")]
