"""Key files of a venue: private, correct, never printed, and unchanged after a restart."""

from pathlib import Path

import httpx
import pytest

from tests.support.sandbox_process import SandboxProcess

pytestmark = pytest.mark.integration


def test_keys_are_written_to_private_files_and_authenticate(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    venue = SandboxProcess("--speed", "0", "--keys", str(folder))
    try:
        key, secret = ((folder / name).read_text() for name in ("key", "secret"))
        headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
        assert httpx.get(f"{venue.endpoints['trading_url']}/v2/account", headers=headers).status_code == 200
        assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        venue.stop()


def test_keys_in_files_are_printed_as_references(tmp_path: Path) -> None:
    venue = SandboxProcess("--speed", "0", "--keys", str(tmp_path))
    try:
        assert venue.endpoints["key"] == f"file:{tmp_path}/key"
        assert venue.endpoints["secret"] == f"file:{tmp_path}/secret"
    finally:
        venue.stop()


def test_a_restarted_venue_with_its_database_has_the_same_keys(tmp_path: Path) -> None:
    venue = SandboxProcess("--speed", "0", "--keys", str(tmp_path / "keys"), "--state", str(tmp_path / "books"))
    before = (tmp_path / "keys" / "secret").read_text()
    venue.kill()
    venue.restart()
    try:
        assert (tmp_path / "keys" / "secret").read_text() == before
    finally:
        venue.stop()
