"""The sandbox's crypto venues for tests: a process of its own, its endpoints, its faults, and its own books."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.machine import scaled
from tests.support.sandbox_process import SandboxProcess

TIMEOUT_S = 10.0


class CryptoSandbox:
    """Crypto venues in a process of their own, with their admin API."""

    def __init__(self, *arguments: str, venues: str = "binance") -> None:
        self._running = SandboxProcess("--venues", venues, *arguments)
        self.endpoints: dict[str, Any] = dict(self._running.endpoints)
        self._admin = httpx.Client(base_url=self.endpoints["admin_url"], timeout=scaled(TIMEOUT_S))

    @property
    def key(self) -> str:
        """The API key that clients log in with."""
        return str(self.endpoints["key"])

    @property
    def secret(self) -> str:
        """The secret of that key."""
        return str(self.endpoints["secret"])

    def stream_url(self, venue: str, path: str = "") -> str:
        """Return the URL of a venue's websockets; the path is that of the real venue."""
        return f"{self.endpoints['venues'][venue]['stream_url']}{path}"

    def rest_url(self, venue: str, path: str = "") -> str:
        """Return the URL of a venue's REST API."""
        return f"{self.endpoints['venues'][venue]['rest_url']}{path}"

    def rest(self, venue: str, path: str, **query: Any) -> httpx.Response:
        """Send a REST request as any client would."""
        return httpx.get(self.rest_url(venue, path), params=query, timeout=scaled(TIMEOUT_S))

    def arm(self, kind: str, **facts: Any) -> None:
        """Arm a fault: venue, symbol, topic, times, skip, ms, code, status, retry_after_s, count."""
        self._request("POST", "/crypto-faults", json={"kind": kind, **facts})

    def clear(self) -> None:
        """Clear every fault."""
        self._request("DELETE", "/crypto-faults")

    def armed(self) -> list[dict[str, Any]]:
        """Return the armed faults with how often each could apply and did."""
        found: list[dict[str, Any]] = self._request("GET", "/crypto-faults").json()
        return found

    def fault_count(self, kind: str) -> int:
        """Return how often the faults of a kind were applied since they were armed."""
        return sum(one["done"] for one in self.armed() if one["kind"] == kind)

    def venues(self) -> dict[str, Any]:
        """Return the status of each venue: addresses, last ids, clients, streams, counts."""
        found: dict[str, Any] = self._request("GET", "/venues").json()
        return found

    def step(self, venue: str, symbol: str, updates: int = 1) -> int:
        """Apply this many updates to a symbol (for --speed 0) and return its last id."""
        body = {"venue": venue, "symbol": symbol, "changes": updates}
        last_id: int = self._request("POST", "/flow", json=body).json()["id"]
        return last_id

    def set_mode(self, venue: str, name: str, value: str) -> None:
        """Change a behavior setting of a venue, such as okx checksum wrong; see its set_mode."""
        self._request("POST", "/modes", json={"venue": venue, "name": name, "value": value})

    def venue_book(self, venue: str, symbol: str, at_id: int | None = None, depth: int = 10) -> dict[str, Any]:
        """Return the venue's own book: {"id", "bids": [[p, q]…], "asks"} in plain decimals and the venue's units."""
        query = {"depth": depth} | ({} if at_id is None else {"id": at_id})
        book: dict[str, Any] = self._request("GET", f"/books/{venue}/{symbol}", params=query).json()
        return book

    def venue_books(self, venue: str, symbol: str, ids: list[int], depth: int = 10) -> list[dict[str, Any] | None]:
        """Return the venue's own book at many ids at once; None where an id is no longer stored."""
        reply = self._request("POST", f"/books/{venue}/{symbol}", json={"ids": ids, "depth": depth})
        books: list[dict[str, Any] | None] = reply.json()["books"]
        return books

    def close(self) -> None:
        """Kill the process, whatever its state."""
        self._admin.close()
        self._running.kill()

    def _request(self, method: str, path: str, **how: Any) -> httpx.Response:
        reply = self._admin.request(method, path, **how)
        assert reply.status_code < 300, f"{reply.status_code}: {reply.text}"
        return reply


@contextmanager
def crypto_sandbox(*arguments: str, venues: str = "binance") -> Iterator[CryptoSandbox]:
    """Run crypto venues for the length of a block; the arguments are those of `sandbox run`."""
    sandbox = CryptoSandbox(*arguments, venues=venues)
    try:
        yield sandbox
    finally:
        sandbox.close()
