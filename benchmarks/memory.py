"""The memory of each process of the running system 30 seconds after it is ready."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
SETTLE_S = 30
READY_S_MAX = 90
MIB_MAX = {"signals": 110}
MIB_MAX_OTHERS = 80
SMOKE = {"SETTLE_S": 1}
NAMES = ("sandbox", "execution", "market_data", "risk", "signals")


def rows() -> list[dict[str, Any]]:
    """Start everything with empty state, wait, and read VmRSS of every process, including `up` itself."""
    with tempfile.TemporaryDirectory(prefix="xt-") as folder:
        run = Path(folder) / "r"
        environment = {
            **os.environ,
            "XTRADER__RUNTIME__STATE_DIR": f"{folder}/var",
            "XTRADER__RUNTIME__RUN_DIR": str(run),
        }
        command = [sys.executable, "-m", "components.xtrader", "up", "--headless", "--json"]
        up = subprocess.Popen(
            command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _until_ready(environment)
            time.sleep(SETTLE_S)
            pids = {name: json.loads((run / f"{name}.json").read_text())["pid"] for name in NAMES}
            return [_row(name, pid) for name, pid in {**pids, "xtrader up": up.pid}.items()]
        finally:
            up.terminate()
            up.wait(60)


def _until_ready(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "components.xtrader", "status"]
    deadline = time.monotonic() + READY_S_MAX
    while subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, check=False).returncode != 0:
        if time.monotonic() > deadline:
            raise TimeoutError(f"not ready within {READY_S_MAX} s")


def _row(name: str, pid: int) -> dict[str, Any]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mib = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
    bound = MIB_MAX.get(name, MIB_MAX_OTHERS)
    return {
        "name": f"memory of {name}, {SETTLE_S} s after ready",
        "value": round(mib, 1),
        "unit": "MiB",
        "reference": bound,
        "ratio": round(mib / bound, 2),
        "bound": f"<= {bound} MiB",
        "holds": mib <= bound,
    }
