"""Every query of the dashboard finds data in a real Prometheus that scrapes a running `up`."""

import json
import math
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_server
from typing import Any

import httpx
import pytest

from components.xtrader.supervisor.processes import PROCESSES, SANDBOX
from docker.grafana.generate import dashboard
from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.running_system import RunningSystem, running_system

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]

COMPONENTS = tuple(child.name for child in PROCESSES if child is not SANDBOX)
MACROS = {"$__rate_interval": "10s"}
SUBSCRIPTIONS = {
    "XTRADER__MARKET_DATA__BINANCE__SYMBOLS": '["BINANCE:BTC-USDT"]',
    "XTRADER__MARKET_DATA__OKX__SYMBOLS": '["OKX:BTC-USDT-PERP"]',
    "XTRADER__MARKET_DATA__OKX__AUDIT_EVERY_S": "1",
}
FAULTS = ("drop", "corrupt_json", "close")
"""A failure is counted only after it has happened."""
READY_S = 60
DATA_S = 60


def free_port() -> int:
    with closing(create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
    return port


def scrape_config(up: RunningSystem) -> dict[str, Any]:
    """Return the shipped job with the ports of this run; JSON is YAML."""
    targets = [
        {"targets": [f"127.0.0.1:{(up.manifest(name) or {})['health_port']}"], "labels": {"service": name}}
        for name in COMPONENTS
    ]
    return {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "xtrader", "static_configs": targets}],
    }


@contextmanager
def prometheus(folder: Path, config: dict[str, Any]) -> Iterator[httpx.Client]:
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port, log = free_port(), folder / "prometheus.log"
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with log.open("w") as lines, subprocess.Popen(command, stdout=lines, stderr=lines) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=scaled(5)) as client:
                eventually(lambda: answers(client), within_s=READY_S)
                yield client
        finally:
            process.terminate()


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.TransportError:
        return False


def queries() -> list[tuple[str, str]]:
    return [(panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def has_data(client: httpx.Client, expression: str) -> bool:
    for macro, value in MACROS.items():
        expression = expression.replace(macro, value)
    answer = client.get("/api/v1/query", params={"query": expression})
    assert answer.status_code == 200, answer.text
    return any(not math.isnan(float(series["value"][1])) for series in answer.json()["data"]["result"])


def without_data(client: httpx.Client, wanted: list[tuple[str, str]]) -> Callable[[], bool]:
    """Query what has not been found yet; return whether everything was found."""

    def look() -> bool:
        wanted[:] = [(title, expr) for title, expr in wanted if not has_data(client, expr)]
        return not wanted

    return look


def inject_faults(up: RunningSystem) -> None:
    """Inject the book failures that the dashboard shows."""
    admin_url = (up.manifest(SANDBOX.name) or {})["endpoints"]["admin"]
    for kind in FAULTS:
        httpx.post(
            f"{admin_url}/crypto-faults", json={"kind": kind, "topic": "book"}, timeout=scaled(5)
        ).raise_for_status()


def is_everything_scraped(up: RunningSystem) -> bool:
    return all(up.manifest(name) for name in COMPONENTS)


def test_every_query_finds_data(tmp_path: Path) -> None:
    wanted = queries()
    with running_system(tmp_path, overrides=SUBSCRIPTIONS) as up:
        eventually(lambda: is_everything_scraped(up), within_s=READY_S, every_s=0.2)
        inject_faults(up)
        with prometheus(tmp_path, scrape_config(up)) as client:
            try:
                eventually(without_data(client, wanted), within_s=DATA_S, every_s=1)
            except AssertionError:
                pytest.fail(f"without data for {DATA_S} s: {wanted}")
