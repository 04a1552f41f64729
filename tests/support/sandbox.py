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

from components.sandbox.core.books import Books
from components.sandbox.core.matching import Quote
from components.sandbox.core.orders import OrderEvent
from components.sandbox.core.session import Session, SessionName
from components.sandbox.core.validation import OrderBody
from components.sandbox.service import Step, Venue

PROJECT = Path(__file__).resolve().parents[2]
NOON_NS = 1_795_194_000_000_000_000
"""Friday, 20 November 2026, 12:00 in New York."""


def quote(bid: str = "99.99", ask: str = "100.01", symbol: str = "AAPL") -> Quote:
    """Make a quote of a hundred shares a side."""
    return Quote(symbol, Decimal(bid), Decimal(ask), 100, 100, NOON_NS)


def body(**changes: Any) -> OrderBody:
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


def venue(session: SessionName = SessionName.ALWAYS, seed: int = 1, **quotes: tuple[str, str]) -> Venue:
    """Make a venue that lists AAPL and MSFT, quoted around 100 unless said."""
    books = Books()
    numbers = count(1)
    made = Venue(books, frozenset({"AAPL", "MSFT"}), Session(session), seed, lambda: f"id-{next(numbers)}")
    for symbol in ("AAPL", "MSFT"):
        bid, ask = quotes.get(symbol, ("99.99", "100.01"))
        books.quotes[symbol] = quote(bid, ask, symbol)
    return made


def place(made: Venue, now_ns: int = NOON_NS, **changes: Any) -> tuple[OrderEvent, ...]:
    """Submit an order and lead it on to where it rests; give all its events."""
    step = made.submit(body(**changes), now_ns)
    assert step.order is not None, step.refusal
    return (*step.events, *made.proceed(step.order.order_id, now_ns).events)


def hold(made: Venue, quantity: int, symbol: str = "AAPL") -> None:
    """Give the account a position, long or short, by an order that fills at once."""
    side = "buy" if quantity > 0 else "sell"
    place(made, symbol=symbol, side=side, qty=abs(quantity), time_in_force="fok")


def told(*steps: Step | tuple[OrderEvent, ...]) -> list[str]:
    """Name the events of some steps in their order."""
    return [str(event.kind) for step in steps for event in (step.events if isinstance(step, Step) else step)]


class RunningSandbox:
    """A sandbox in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.process = self._launch(())
        self.where: dict[str, str] = self._hear()

    @property
    def keys(self) -> dict[str, str]:
        """The headers that open the trading door."""
        return {"APCA-API-KEY-ID": self.where["key"], "APCA-API-SECRET-KEY": self.where["secret"]}

    def client(self) -> httpx.Client:
        """A client with the right keys."""
        return httpx.Client(base_url=self.where["trading_url"], headers=self.keys, timeout=5)

    def admin(self) -> httpx.Client:
        """A client of the side door."""
        return httpx.Client(base_url=self.where["admin_url"], timeout=5)

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

    def come_back(self) -> None:
        """Start again on the same ports with the same arguments."""
        ports = [httpx.URL(self.where[name]).port for name in ("trading_url", "admin_url")]
        self.process = self._launch(("--port", str(ports[0]), "--admin-port", str(ports[1])))
        self.where = self._hear()

    def stop(self) -> int:
        """Ask it to end; give the exit code."""
        self.process.terminate()
        code = self.process.wait(5)
        self._close_output()
        return code

    def _launch(self, more: tuple[str, ...]) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "components.sandbox", "run", "--json", *self._arguments, *more]
        return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def _hear(self) -> dict[str, str]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the sandbox ended with {self.process.wait(5)}"
        where: dict[str, str] = json.loads(line)
        return where

    def _close_output(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def running_sandbox(*arguments: str) -> Iterator[RunningSandbox]:
    """Run a sandbox for the length of a block."""
    sandbox = RunningSandbox(*arguments)
    try:
        yield sandbox
    finally:
        if sandbox.process.poll() is None:
            sandbox.kill()
