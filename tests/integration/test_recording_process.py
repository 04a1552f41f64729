"""`record` beside live venues: it stops in order, its files are complete, and they hold what the venues sent."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from components.market_data.core.recording import list_files, parse_file_name
from components.runtime.config.settings import child_environment
from tests.support.crypto_sandbox import CryptoSandbox, crypto_sandbox
from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.project import ROOT

pytestmark = pytest.mark.integration

SYMBOLS = {
    "binance": ("BINANCE:BTC-USDT", "BTCUSDT"),
    "binanceum": ("BINANCEUM:BTC-USDT-PERP", "BTCUSDT"),
    "okx": ("OKX:BTC-USDT", "BTC-USDT"),
    "deribit": ("DERIBIT:BTC-USD-PERP", "BTC-PERPETUAL"),
}
PATHS = {"okx": "/ws/v5/public", "deribit": "/ws/api/v2"}
LAST_ID = re.compile(r'\\"(?:u|seqId|change_id)\\":(\d+)')

Recorder = Callable[..., Any]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[CryptoSandbox]:
    with crypto_sandbox("--seed", "11", "--crypto-rate", "300", venues=",".join(SYMBOLS)) as sandbox:
        yield sandbox


@pytest.fixture
def environment(sandbox: CryptoSandbox, tmp_path: Path) -> dict[str, str]:
    where = {
        "XTRADER__RUNTIME__STATE_DIR": str(tmp_path / "var"),
        "XTRADER__RUNTIME__RUN_DIR": str(tmp_path / "r"),
    }
    for venue in SYMBOLS:
        table = f"XTRADER__MARKET_DATA__{venue.upper()}"
        where[f"{table}__STREAM_URL"] = sandbox.stream_url(venue, PATHS.get(venue, ""))
        where[f"{table}__REST_URL"] = sandbox.rest_url(venue)
    return child_environment(where)


@pytest.fixture
def recorder(environment: dict[str, str]) -> Recorder:
    def started(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "components.market_data", *arguments, "--json"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


def reported(process: "subprocess.Popen[str]") -> tuple[int, list[dict[str, Any]]]:
    out, errors = process.communicate(timeout=scaled(40))
    assert "Traceback" not in errors, errors
    return process.returncode, [json.loads(line) for line in out.splitlines()]


def of(*venues: str) -> list[str]:
    return [word for venue in venues for word in ("--symbol", SYMBOLS[venue][0])]


def parts(folder: Path) -> list[Path]:
    return [folder / name for name, _ in list_files(path.name for path in folder.iterdir())] if folder.is_dir() else []


def count_lines(paths: Sequence[Path]) -> int:
    return sum(path.read_bytes().count(b"\n") for path in paths)


def test_sigterm_ends_every_file_whole_and_true(sandbox: CryptoSandbox, recorder: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    process = recorder("record", *of(*SYMBOLS), "--folder", str(folder))
    eventually(lambda: len(parts(folder)) == len(SYMBOLS) and count_lines(parts(folder)) > 200, within_s=30)
    process.send_signal(signal.SIGTERM)
    code, (report,) = reported(process)
    assert (code, report["dropped"]) == (0, 0)
    assert sorted(report["files"]) == sorted(path.name for path in parts(folder))
    assert report["frames"] == count_lines(parts(folder))
    assert all(part.is_complete for path in parts(folder) if (part := parse_file_name(path.name)))
    code, verdicts = reported(recorder("verify", *map(str, parts(folder))))
    assert code == 0
    assert {verdict["symbol"] for verdict in verdicts} == {symbol for symbol, _ in SYMBOLS.values()}
    for verdict, path in zip(verdicts, parts(folder), strict=True):
        assert verdict["sha256_top10"] == true_top(sandbox, verdict["venue"].lower(), path)


def true_top(sandbox: CryptoSandbox, venue: str, path: Path) -> str:
    depth = [line for line in path.read_text().splitlines() if re.search("depthUpdate|seqId|change_id", line)]
    last = [
        line
        for line in depth
        if '"via":"ws"' in line and ("depthUpdate" in line or "action" in line or "book." in line)
    ]
    (last_id,) = LAST_ID.findall(last[-1])
    venue_tops = sandbox.venue_book(venue, SYMBOLS[venue][1], int(last_id))
    text = json.dumps({side: venue_tops[side] for side in ("asks", "bids")}, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("venue", ["binanceum", "deribit"], ids=["image_fetched", "image_pushed"])
def test_each_file_of_a_recording_can_be_verified_alone(venue: str, recorder: Recorder, tmp_path: Path) -> None:
    folder = tmp_path / "recorded"
    process = recorder("record", *of(venue), "--folder", str(folder), "--file-mib", "0.08")
    eventually(lambda: len(parts(folder)) > 2, within_s=30)
    process.send_signal(signal.SIGTERM)
    assert reported(process)[0] == 0
    first, second, *_ = parts(folder)
    assert reported(recorder("verify", str(first), str(second)))[0] == 0
    code, (verdict,) = reported(recorder("verify", str(second)))
    assert (code, verdict["symbol"], verdict["gaps"]) == (0, SYMBOLS[venue][0], 0)
    assert verdict["applied"] > 0


def test_recording_for_a_while_ends_by_itself_in_the_states_own_folder(recorder: Recorder, tmp_path: Path) -> None:
    code, (report,) = reported(recorder("record", *of("okx"), "--for", "1"))
    assert (code, len(report["files"])) == (0, 1)
    code, listed = reported(recorder("recordings"))
    assert (code, [Path(one["file"]).name for one in listed]) == (0, report["files"])
    assert {one["venue"] for one in listed} == {"OKX"}


def test_an_unknown_venue_is_refused_in_one_line(recorder: Recorder) -> None:
    for arguments in (["--symbol", "KRAKEN:BTC-USD"], ["--venue", "OKX"], ["--symbol", "OKX:nonsense"], []):
        process = recorder("record", "--for", "1", *arguments)
        _, errors = process.communicate(timeout=scaled(20))
        assert (process.returncode, errors.count("\n")) == (64, 1), errors
