"""Sandbox venues for tests: one without I/O to be fed by hand, and a real one in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from components.sandbox.core.books import AccountState
from components.sandbox.core.matching import Quote
from components.sandbox.core.orders import OrderEvent
from components.sandbox.core.session import SessionName, TradingSession
from components.sandbox.core.validation import OrderBody
from components.sandbox.service import AlpacaVenue, Transition

PROJECT = Path(__file__).resolve().parents[2]
NOON_NS = 1_795_194_000_000_000_000
"""Friday, 20 November 2026, 12:00 in New York."""


def make_quote(bid: str = "99.99", ask: str = "100.01", symbol: str = "AAPL") -> Quote:
    """Make a quote of a hundred shares a side."""
    return Quote(symbol, Decimal(bid), Decimal(ask), 100, 100, NOON_NS)


def order_body(**changes: Any) -> OrderBody:
    """Make the body of a market order for ten shares, with changes; numbers may be texts."""
    plain: dict[str, Any] = {
        "symbol": "AAPL",
        "qty": 10,
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
    } | changes
    decimals = {"qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent"}
    exact: dict[str, Any] = {k: Decimal(str(v)) if k in decimals and v is not None else v for k, v in plain.items()}
    return OrderBody(**exact)


def make_venue(session: SessionName = SessionName.ALWAYS, seed: int = 1, **quotes: tuple[str, str]) -> AlpacaVenue:
    """Make a venue that lists AAPL and MSFT, quoted around 100 unless said."""
    books = AccountState()
    numbers = count(1)
    made = AlpacaVenue(books, frozenset({"AAPL", "MSFT"}), TradingSession(session), seed, lambda: f"id-{next(numbers)}")
    for symbol in ("AAPL", "MSFT"):
        bid, ask = quotes.get(symbol, ("99.99", "100.01"))
        books.quotes[symbol] = make_quote(bid, ask, symbol)
    return made


def place_order(made: AlpacaVenue, now_ns: int = NOON_NS, **changes: Any) -> tuple[OrderEvent, ...]:
    """Submit an order and lead it on to where it rests; give all its events."""
    step = made.submit(order_body(**changes), now_ns)
    assert step.order is not None, step.error
    return (*step.events, *made.advance_order(step.order.order_id, now_ns).events)


def open_position(made: AlpacaVenue, quantity: int, symbol: str = "AAPL") -> None:
    """Give the account a position, long or short, by an order that fills at once."""
    side = "buy" if quantity > 0 else "sell"
    place_order(made, symbol=symbol, side=side, qty=abs(quantity), time_in_force="fok")


def event_kinds(*steps: Transition | tuple[OrderEvent, ...]) -> list[str]:
    """Name the events of some steps in their order."""
    return [str(event.kind) for step in steps for event in (step.events if isinstance(step, Transition) else step)]


class SandboxProcess:
    """A sandbox in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.process = self._launch(())
        self.endpoints: dict[str, str] = self._read_endpoints()

    @property
    def auth_headers(self) -> dict[str, str]:
        """The headers that open the trading door."""
        return {"APCA-API-KEY-ID": self.endpoints["key"], "APCA-API-SECRET-KEY": self.endpoints["secret"]}

    def client(self) -> httpx.Client:
        """A client with the right keys."""
        return httpx.Client(base_url=self.endpoints["trading_url"], headers=self.auth_headers, timeout=5)

    def admin(self) -> httpx.Client:
        """A client of the side door."""
        return httpx.Client(base_url=self.endpoints["admin_url"], timeout=5)

    def set_quote(self, symbol: str, bid: str, ask: str) -> None:
        """Move the market of one symbol."""
        with self.admin() as admin:
            reply = admin.post("/quotes", json={"symbol": symbol, "bid": bid, "ask": ask})
        assert reply.status_code == 204, reply.text

    def print_trade(self, symbol: str, price: str, size: int = 100) -> None:
        """Let others trade."""
        with self.admin() as admin:
            reply = admin.post("/trades", json={"symbol": symbol, "price": price, "size": size})
        assert reply.status_code == 204, reply.text

    def step_clock(self, ahead_ms: int) -> None:
        """Set the venue's time forward."""
        with self.admin() as admin:
            reply = admin.post("/clock", json={"ahead_ms": ahead_ms})
        assert reply.status_code == 204, reply.text

    def arm(self, kind: str, **facts: Any) -> None:
        """Switch a fault on."""
        with self.admin() as admin:
            reply = admin.post("/faults", json={"kind": kind, **facts})
        assert reply.status_code == 200, reply.text

    def state(self) -> dict[str, Any]:
        """Everything the venue knows."""
        with self.admin() as admin:
            seen: dict[str, Any] = admin.get("/state").json()
        return seen

    def kill(self) -> None:
        """End the process without a word."""
        self.process.kill()
        self.process.wait(5)
        self._close_output()

    def restart(self) -> None:
        """Start again on the same ports with the same arguments."""
        ports = [httpx.URL(self.endpoints[name]).port for name in ("trading_url", "admin_url")]
        self.process = self._launch(("--port", str(ports[0]), "--admin-port", str(ports[1])))
        self.endpoints = self._read_endpoints()

    def stop(self) -> int:
        """Ask it to end; give the exit code."""
        self.process.terminate()
        code = self.process.wait(5)
        self._close_output()
        return code

    def _launch(self, more: tuple[str, ...]) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "components.sandbox", "run", "--json", *self._arguments, *more]
        return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def _read_endpoints(self) -> dict[str, str]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the sandbox ended with {self.process.wait(5)}"
        where: dict[str, str] = json.loads(line)
        return where

    def _close_output(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def running_sandbox(*arguments: str) -> Iterator[SandboxProcess]:
    """Run a sandbox for the length of a block."""
    sandbox = SandboxProcess(*arguments)
    try:
        yield sandbox
    finally:
        if sandbox.process.poll() is None:
            sandbox.kill()
