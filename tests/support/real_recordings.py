"""Real venues' frames, where this machine has them; a test that reads them carries the marker `recordings`."""

from pathlib import Path

import pytest

from components.runtime.config import environment_with
from tests.support.project import ROOT
from tests.support.recordings import Line, lines_of

FOLDER = Path(environment_with({}).get("XTRADER_RECORDINGS") or ROOT.parent / "shared" / "recordings")
REAL = (pytest.mark.recordings, pytest.mark.skipif(not FOLDER.is_dir(), reason="there are no recordings here"))


def recorded(name: str) -> tuple[Line, ...]:
    """Read one recording by its file's name without ending."""
    return lines_of((FOLDER / f"{name}.jsonl").read_text())
