"""A venue's keys as files: private, right, and the same after a restart."""

from pathlib import Path

import pytest

from tests.support.sandbox import RunningSandbox

pytestmark = pytest.mark.integration


def test_the_keys_stand_in_private_files_when_the_venue_is_open(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    venue = RunningSandbox("--speed", "0", "--keys", str(folder))
    try:
        assert {file.name: file.read_text() for file in folder.iterdir()} == {
            "key": venue.where["key"],
            "secret": venue.where["secret"],
        }
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        venue.stop()


def test_a_venue_that_came_back_with_its_books_has_the_same_keys(tmp_path: Path) -> None:
    arguments = ("--speed", "0", "--keys", str(tmp_path / "keys"), "--state", str(tmp_path / "books"))
    venue = RunningSandbox(*arguments)
    before = (tmp_path / "keys" / "secret").read_text()
    venue.kill()
    venue.come_back()
    try:
        assert (tmp_path / "keys" / "secret").read_text() == before == venue.where["secret"]
    finally:
        venue.stop()
