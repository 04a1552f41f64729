"""Creates the environment in which the peers run, again only when their pins change."""

import json
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
PLACE: Final = HERE.parents[1] / "var" / "peers"
PINS: Final = HERE / "requirements.lock"
INSTALLED: Final = PLACE / ".installed"
"""Written last; it names the pins and the Python of this environment."""
INSTALL: Final = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--requirement")
RUN_S_MAX: Final = 300


def run(script: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Run one of the scripts beside this file in the peers' environment: JSON in, JSON out."""
    command = [str(_python()), str(HERE / f"{script}.py")]
    ran = subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, timeout=RUN_S_MAX, check=False
    )
    if ran.returncode != 0:
        sys.exit(f"{script} failed in {PLACE.name}: {_last_line(ran.stderr)}")
    output: dict[str, Any] = json.loads(ran.stdout)
    return output


def _python() -> Path:
    python = PLACE / "bin" / "python"
    wanted = sha256(PINS.read_bytes()).hexdigest() + " " + sys.version.split()[0]
    if not INSTALLED.is_file() or INSTALLED.read_text() != wanted:
        print("installing cryptofeed and nautilus_trader, to run beside ours", file=sys.stderr)
        _do([sys.executable, "-m", "venv", "--clear", str(PLACE)])
        _do([str(python), *INSTALL, str(PINS)])
        INSTALLED.write_text(wanted)
    return python


def _do(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"the peers of the benchmark cannot be installed: {_last_line(done.stderr or done.stdout)}")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no word of why"
