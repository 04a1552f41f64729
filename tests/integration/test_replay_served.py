"""A recording served in place of live venues: subscribers see its books, on its own time, as `verify` found them."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.runtime.config.settings import child_environment
from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.project import ROOT

pytestmark = pytest.mark.integration

RECORDINGS = sorted((ROOT / "tests" / "recordings").glob("*.jsonl"))
Command = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    def run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        done = subprocess.run(
            command_line(*arguments),
            cwd=ROOT,
            env=environment(tmp_path),
            capture_output=True,
            timeout=scaled(40),
            check=False,
        )
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    return run


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "components.market_data", *arguments, "--json"]


def environment(folder: Path) -> dict[str, str]:
    return child_environment(
        {
            "XTRADER__RUNTIME__STATE_DIR": str(folder / "var"),
            "XTRADER__RUNTIME__RUN_DIR": str(folder / "r"),
        }
    )


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    path: Path = request.param
    process = subprocess.Popen(
        command_line("replay", str(path), "--serve"),
        cwd=ROOT,
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield path
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=scaled(20))
        assert process.returncode == 0, errors.decode()


def prices(*sides: list[list[str] | None]) -> list[str | None]:
    """What is published counts coins, what is verified counts as the venue does: the prices are the same."""
    return [side[0][0] if side and side[0] else None for side in sides]


@pytest.mark.parametrize("served", RECORDINGS, ids=lambda path: path.name.partition("_")[0], indirect=True)
def test_the_served_book_ends_where_the_recording_ends(served: Path, command: Command) -> None:
    _, (verdict,) = command("verify", str(served))

    def shown() -> dict[str, Any] | None:
        code, books = command("book", verdict["symbol"], "--levels", "1")
        return books[0] if code == 0 and prices(books[0]["bids"], books[0]["asks"]) == best else None

    best = prices([verdict["best_bid"]], [verdict["best_ask"]])
    book = eventually(shown, within_s=30)
    assert (book or {})["state"] == "synced"


@pytest.mark.parametrize("served", RECORDINGS[:1], ids=["BINANCE"], indirect=True)
def test_beside_a_served_recording_no_live_market_data_starts(served: Path, command: Command, tmp_path: Path) -> None:
    eventually(lambda: command("state")[1], within_s=30)
    second = subprocess.run(
        [sys.executable, "-m", "components.market_data", "run"],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        timeout=scaled(40),
        check=False,
    )
    assert second.returncode == 75
