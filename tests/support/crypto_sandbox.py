"""The sandbox's crypto venues for tests: a process of its own, its addresses, its faults, and its truth."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.support.sandbox_process import SandboxProcess

TIMEOUT_S = 10.0


class CryptoSandbox:
    """Some crypto venues in a process of their own, with their side door."""

    def __init__(self, *arguments: str, venues: str = "binance") -> None:
        self._running = SandboxProcess("--venues", venues, *arguments)
        self.endpoints: dict[str, Any] = dict(self._running.endpoints)
        self._admin = httpx.Client(base_url=self.endpoints["admin_url"], timeout=TIMEOUT_S)

    @property
    def key(self) -> str:
        """What a client logs in by."""
        return str(self.endpoints["key"])

    @property
    def secret(self) -> str:
        """What nobody else knows."""
        return str(self.endpoints["secret"])

    def stream_url(self, venue: str, path: str = "") -> str:
        """Where a venue's websockets begin; the path is as at the real venue."""
        return f"{self.endpoints['venues'][venue]['stream_url']}{path}"

    def rest_url(self, venue: str, path: str = "") -> str:
        """Where a venue's REST begins."""
        return f"{self.endpoints['venues'][venue]['rest_url']}{path}"

    def rest(self, venue: str, path: str, **query: Any) -> httpx.Response:
        """Ask a venue as any client would."""
        return httpx.get(self.rest_url(venue, path), params=query, timeout=TIMEOUT_S)

    def arm(self, kind: str, **facts: Any) -> None:
        """Switch a fault on: venue, symbol, topic, times, skip, ms, code, status, retry_after_s, count."""
        self._request("POST", "/crypto-faults", json={"kind": kind, **facts})

    def clear(self) -> None:
        """Switch every fault off."""
        self._request("DELETE", "/crypto-faults")

    def armed(self) -> list[dict[str, Any]]:
        """List the switches with the chances they saw and the harm they did."""
        found: list[dict[str, Any]] = self._request("GET", "/crypto-faults").json()
        return found

    def fault_count(self, kind: str) -> int:
        """Count how often the faults of a kind struck since they were armed."""
        return sum(one["done"] for one in self.armed() if one["kind"] == kind)

    def venues(self) -> dict[str, Any]:
        """Give what each venue says of itself: addresses, last ids, clients, streams, counts."""
        found: dict[str, Any] = self._request("GET", "/venues").json()
        return found

    def step(self, venue: str, symbol: str, updates: int = 1) -> int:
        """Let so much happen to a symbol (for --speed 0); gives its last id then."""
        body = {"venue": venue, "symbol": symbol, "changes": updates}
        last_id: int = self._request("POST", "/flow", json=body).json()["id"]
        return last_id

    def set_mode(self, venue: str, name: str, value: str) -> None:
        """Change a manner of a venue, such as okx checksum wrong; see its set_mode."""
        self._request("POST", "/modes", json={"venue": venue, "name": name, "value": value})

    def venue_book(self, venue: str, symbol: str, at_id: int | None = None, depth: int = 10) -> dict[str, Any]:
        """Give the venue's own book: {"id", "bids": [[p, q]…], "asks"} in plain decimals and the venue's units."""
        query = {"depth": depth} | ({} if at_id is None else {"id": at_id})
        book: dict[str, Any] = self._request("GET", f"/books/{venue}/{symbol}", params=query).json()
        return book

    def venue_books(self, venue: str, symbol: str, ids: list[int], depth: int = 10) -> list[dict[str, Any] | None]:
        """Give the venue's own book at many ids at once; None where an id is no longer remembered."""
        reply = self._request("POST", f"/books/{venue}/{symbol}", json={"ids": ids, "depth": depth})
        books: list[dict[str, Any] | None] = reply.json()["books"]
        return books

    def close(self) -> None:
        """End the process, however it is."""
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
