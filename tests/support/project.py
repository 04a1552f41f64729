"""The project's files: every text that is tracked or not yet added."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def relative_name(path: Path) -> str:
    """Return the path of a file relative to the project."""
    return str(path.relative_to(ROOT))


def project_texts() -> Iterator[tuple[Path, str]]:
    """Return every text file that is not ignored, with its content."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for path in (ROOT / name for name in listed.split("\0") if name):
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            yield path, content.decode()
