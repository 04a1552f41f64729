"""A real sandbox in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.machine import scaled

PROJECT = Path(__file__).resolve().parents[2]


class SandboxProcess:
    """A sandbox in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self.process = self._launch(())
        self.endpoints: dict[str, str] = self._read_endpoints()

    @property
    def auth_headers(self) -> dict[str, str]:
        """The headers that authenticate a trading request."""
        return {"APCA-API-KEY-ID": self.endpoints["key"], "APCA-API-SECRET-KEY": self.endpoints["secret"]}

    def client(self) -> httpx.Client:
        """Return a client with the right keys."""
        return httpx.Client(base_url=self.endpoints["trading_url"], headers=self.auth_headers, timeout=scaled(5))

    def admin(self) -> httpx.Client:
        """Return a client of the admin API."""
        return httpx.Client(base_url=self.endpoints["admin_url"], timeout=scaled(5))

    def set_quote(self, symbol: str, bid: str, ask: str) -> None:
        """Set the quote of one symbol."""
        with self.admin() as admin:
            reply = admin.post("/quotes", json={"symbol": symbol, "bid": bid, "ask": ask})
        assert reply.status_code == 204, reply.text

    def print_trade(self, symbol: str, price: str, size: int = 100) -> None:
        """Publish a trade between other participants."""
        with self.admin() as admin:
            reply = admin.post("/trades", json={"symbol": symbol, "price": price, "size": size})
        assert reply.status_code == 204, reply.text

    def step_clock(self, ahead_ms: int) -> None:
        """Set the venue's clock forward."""
        with self.admin() as admin:
            reply = admin.post("/clock", json={"ahead_ms": ahead_ms})
        assert reply.status_code == 204, reply.text

    def arm(self, kind: str, **facts: Any) -> None:
        """Arm a fault."""
        with self.admin() as admin:
            reply = admin.post("/faults", json={"kind": kind, **facts})
        assert reply.status_code == 200, reply.text

    def state(self) -> dict[str, Any]:
        """Return the venue's whole state."""
        with self.admin() as admin:
            seen: dict[str, Any] = admin.get("/state").json()
        return seen

    def kill(self) -> None:
        """Kill the process with SIGKILL."""
        self.process.kill()
        self.process.wait(scaled(5))
        self._close_output()

    def restart(self) -> None:
        """Start again on the same ports with the same arguments."""
        ports = [httpx.URL(self.endpoints[name]).port for name in ("trading_url", "admin_url")]
        self.process = self._launch(("--port", str(ports[0]), "--admin-port", str(ports[1])))
        self.endpoints = self._read_endpoints()

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        code = self.process.wait(scaled(5))
        self._close_output()
        return code

    def _launch(self, more: tuple[str, ...]) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "components.sandbox", "run", "--json", *self._arguments, *more]
        return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def _read_endpoints(self) -> dict[str, str]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the sandbox ended with {self.process.wait(scaled(5))}"
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
