"""The type checker guards approvals: what must not type-check does not, for the stated reason."""

import re
from pathlib import Path

from mypy import api

ROOT = Path(__file__).parents[2]
FORBIDDEN = Path(__file__).with_name("signals_static.py")


def test_no_signal_is_approved_but_by_approve_and_open_frame() -> None:
    output, errors, status = api.run(["--config-file", str(ROOT / "pyproject.toml"), str(FORBIDDEN)])
    assert status == 0, output + errors


def test_every_forbidden_line_is_refused_where_its_ignore_is_taken_away(tmp_path: Path) -> None:
    bare = tmp_path / "bare.py"
    text = FORBIDDEN.read_text()
    bare.write_text(re.sub(r"  # type: ignore\[[a-z,-]+\]", "", text))
    forbidden = {number for number, line in enumerate(text.splitlines(), 1) if "# type: ignore[" in line}
    output, _, status = api.run(["--config-file", str(ROOT / "pyproject.toml"), str(bare)])
    assert status == 1
    assert {int(number) for number in re.findall(r"bare\.py:(\d+): error", output)} == forbidden
