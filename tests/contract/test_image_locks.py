"""What the image is made of is what was tested: its locks repeat versions and hashes of the whole lock."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
ONLY_FOR_TESTS = {"alpaca-py", "hypothesis", "import-linter", "mypy", "onnx", "psutil", "pytest", "ruff"}


def pins(name: str) -> dict[str, str]:
    """Each package with its version and hashes, as it stands in the lock."""
    blocks = (PROJECT / name).read_text().replace("\\\n", " ").splitlines()
    return {block.partition("==")[0]: block for block in blocks}


@pytest.mark.parametrize("name", ["requirements-runtime.lock", "requirements-build.lock"])
def test_every_pin_of_the_image_is_one_of_the_whole_lock(name: str) -> None:
    assert pins(name).items() <= pins("requirements.lock").items()


def test_the_image_runs_nothing_that_is_only_for_tests() -> None:
    assert not ONLY_FOR_TESTS & pins("requirements-runtime.lock").keys()


def test_the_whole_lock_knows_what_is_only_for_tests() -> None:
    assert pins("requirements.lock").keys() >= ONLY_FOR_TESTS
