"""A running process is found by its manifest; one that has ended or an invalid file is not."""

import os
from pathlib import Path

import pytest

from components.runtime.paths import Paths
from components.runtime.process.manifest import Manifest, read_manifest, remove_manifest, write_manifest

GONE = 2**22 + 1  # above the highest process id that Linux gives


@pytest.fixture
def places(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path, env="dev", account="sandbox", state=tmp_path, run=tmp_path, keys=tmp_path)


def manifest(pid: int) -> Manifest:
    return Manifest(
        name="risk",
        pid=pid,
        version="1",
        started_at_ns=1,
        env="dev",
        account="sandbox",
        health_host="127.0.0.1",
        health_port=1,
        endpoints={"orders": "ipc:///x"},
    )


def test_a_running_process_is_found(places: Paths) -> None:
    write_manifest(places, manifest(os.getpid()))
    assert read_manifest(places, "risk") == manifest(os.getpid())


def test_a_process_that_is_gone_is_not_found(places: Paths) -> None:
    write_manifest(places, manifest(GONE))
    assert read_manifest(places, "risk") is None


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"\xff", b'{"pid": "x"}'])
def test_nonsense_is_nobody(places: Paths, content: bytes) -> None:
    places.manifest("risk").write_bytes(content)
    assert read_manifest(places, "risk") is None


def test_ours_is_removed_and_anothers_is_not(places: Paths) -> None:
    write_manifest(places, manifest(os.getppid()))
    remove_manifest(places, "risk")
    assert places.manifest("risk").exists()
    write_manifest(places, manifest(os.getpid()))
    remove_manifest(places, "risk")
    assert not places.manifest("risk").exists()
