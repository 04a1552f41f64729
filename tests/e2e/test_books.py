"""Books of crypto venues beside a trading system: every command shows them, and they resync after a venue restart."""

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.running_system import PROJECT, RunningSystem, running_system

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]

SYMBOLS = {
    "BINANCE": ["BINANCE:BTC-USDT"],
    "BINANCEUM": ["BINANCEUM:BTC-USDT-PERP"],
    "OKX": ["OKX:BTC-USD-PERP", "OKX:NO-SUCH"],
    "DERIBIT": ["DERIBIT:BTC-USD-PERP"],
    "ALPACA_CRYPTO": ["ALPACA:BTC-USD"],
}
BOOKS = sorted(symbol for symbols in SYMBOLS.values() for symbol in symbols if symbol != "OKX:NO-SUCH")
STOCKS = {"AAPL", "MSFT", "NVDA", "SPY", "TSLA"}
SYNCED_S_MAX = 40


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    overrides = {f"XTRADER__MARKET_DATA__{venue}__SYMBOLS": json.dumps(listed) for venue, listed in SYMBOLS.items()}
    with running_system(tmp_path_factory.mktemp("books"), overrides=overrides) as running:
        eventually(lambda: all_synced(running), within_s=SYNCED_S_MAX)
        yield running


def run_command(up: RunningSystem, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "components.xtrader", "market-data", *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env=up.environment, capture_output=True, text=True, timeout=scaled(40), check=False
    )


def json_rows(up: RunningSystem, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run_command(up, *arguments, "--json").stdout.splitlines()]


def all_synced(up: RunningSystem) -> bool:
    if up.manifest("market_data") is None:
        return False
    state = json_rows(up, "state")
    return bool(state) and all(state[0]["states"].get(symbol) == "synced" for symbol in BOOKS)


@pytest.mark.parametrize("symbol", BOOKS)
def test_a_book_is_shown_with_its_best_prices_in_the_middle(up: RunningSystem, symbol: str) -> None:
    (book,) = json_rows(up, "book", symbol, "--levels", "5")
    assert (book["symbol"], book["state"], len(book["bids"]), len(book["asks"])) == (symbol, "synced", 5, 5)
    prices = [float(price) for price, _ in [*reversed(book["asks"]), *book["bids"]]]
    assert prices == sorted(prices, reverse=True)
    assert run_command(up, "book", symbol.lower()).returncode == 0


def test_a_symbol_that_its_venue_does_not_list_is_shown_with_the_reason(up: RunningSystem) -> None:
    (book,) = json_rows(up, "book", "OKX:NO-SUCH")
    assert (book["state"], book["bids"]) == ("gap", [])
    assert book["reason"].startswith("OKX:NO-SUCH: no such instrument; there is ")
    assert run_command(up, "book", "OKX:NO-SUCH").returncode == 1


def test_an_unknown_book_is_answered_with_the_known_ones(up: RunningSystem) -> None:
    shown = run_command(up, "book", "nonsense")
    assert shown.returncode == 1
    assert "no such book; there is ALPACA:BTC-USD, BINANCE:BTC-USDT" in shown.stdout


def test_published_deltas_chain_by_their_ids(up: RunningSystem) -> None:
    messages = json_rows(up, "tail", "--stream", "books", "--symbol", "BINANCE:BTC-USDT", "--count", "8")
    deltas = [body for body in messages if body["type"] == "BookDelta"]
    assert len(deltas) > 1
    assert all(one["book_id"] == other["previous_id"] for one, other in pairwise(deltas))


def test_instruments_are_listed_with_their_units(up: RunningSystem) -> None:
    rows = {row["symbol"]: row for row in json_rows(up, "instruments", "--venue", "okx")}
    assert (rows["OKX:BTC-USD-PERP"]["contract_multiplier"], rows["OKX:BTC-USD-PERP"]["is_inverse"]) == ("100", True)
    assert (rows["OKX:BTC-USDT-PERP"]["contract_multiplier"], rows["OKX:BTC-USDT-PERP"]["venue_symbol"]) == (
        "0.01",
        "BTC-USDT-SWAP",
    )
    unknown = run_command(up, "instruments", "--venue", "nope")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (64, 1)


def test_a_recording_beside_it_verifies(up: RunningSystem, tmp_path: Path) -> None:
    assert run_command(
        up, "record", "--symbol", "BINANCEUM:BTC-USDT-PERP", "--for", "3", "--folder", str(tmp_path)
    ).stdout
    files = [row["file"] for row in json_rows(up, "recordings", str(tmp_path))]
    (report,) = json_rows(up, "verify", *files)
    assert (report["symbol"], report["gaps"], report["crossed"]) == ("BINANCEUM:BTC-USDT-PERP", 0, 0)
    assert report["applied"] > 5
    digests = [json_rows(up, "replay", *files, "--digest") for _ in range(2)]
    assert digests[0] == digests[1]


def test_after_a_restart_of_the_venues_every_book_resyncs_and_nothing_was_traded_on_them(up: RunningSystem) -> None:
    killed = up.kill("sandbox")
    eventually(lambda: up.is_restarted("sandbox", killed), within_s=40)
    eventually(lambda: all_synced(up), within_s=SYNCED_S_MAX)
    orders = httpx.get(f"{up.sandbox_endpoints()['admin_url']}/orders", timeout=scaled(10)).json()
    assert orders
    assert {order["symbol"] for order in orders} <= STOCKS
