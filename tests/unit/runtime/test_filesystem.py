"""Which file system holds a folder decides whether a sync there means anything."""

from pathlib import Path

import pytest

from components.runtime.filesystem import file_system_of

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
