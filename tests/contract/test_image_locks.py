"""The locks agree: the image and `make up` run the versions and hashes that the tests ran, and none names an index."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ONLY_FOR_TESTS = {"alpaca-py", "hypothesis", "import-linter", "mypy", "onnx", "psutil", "pytest", "ruff"}


def pins(name: str) -> dict[str, str]:
    """Return each package with its version and hashes, as it stands in the lock."""
    blocks = (PROJECT / name).read_text().replace("\\\n", " ").splitlines()
    return {block.partition("==")[0]: block for block in blocks}


@pytest.mark.parametrize("name", ["requirements-runtime.lock", "requirements-build.lock"])
def test_every_pin_of_the_image_is_one_of_the_whole_lock(name: str) -> None:
    assert pins(name).items() <= pins("requirements.lock").items()


@pytest.mark.parametrize("path", sorted(PROJECT.glob("requirements*.lock")), ids=lambda path: path.name)
def test_a_lock_has_hashes_only_and_names_no_index(path: Path) -> None:
    assert all(" --hash=sha256:" in pin for pin in pins(path.name).values())
    assert "://" not in path.read_text()


def test_the_installer_is_uv_alone_pinned_by_hash() -> None:
    assert pins("requirements-uv.lock").keys() == {"uv"}


def test_the_runtime_and_build_locks_suffice_for_an_editable_install() -> None:
    assert pins("requirements-build.lock").keys() >= {"hatchling", "editables"}


def test_the_image_runs_nothing_that_is_only_for_tests() -> None:
    assert not ONLY_FOR_TESTS & pins("requirements-runtime.lock").keys()


def test_the_whole_lock_knows_what_is_only_for_tests() -> None:
    assert pins("requirements.lock").keys() >= ONLY_FOR_TESTS
