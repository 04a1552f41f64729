"""The sandbox's side door to its crypto venues: faults switched on, and each book as the venue itself had it."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import httpx

from components.contracts.errors import VenueUnavailable
from components.contracts.values import format_decimal

RESPONSE_S_MAX: Final = 10.0


class SandboxAdmin:
    """Asks the venues what they know."""

    def __init__(self, admin_url: str) -> None:
        self._client = httpx.Client(base_url=admin_url, timeout=RESPONSE_S_MAX)

    def close(self) -> None:
        """Let the connection go."""
        self._client.close()

    def arm_fault(self, fault: Mapping[str, Any]) -> None:
        """Switch a fault on."""
        self._request("POST", "/crypto-faults", dict(fault))

    def clear_faults(self) -> None:
        """Switch all off."""
        self._request("DELETE", "/crypto-faults")

    def faults_injected(self) -> int:
        """Count how often the faults that are on have struck."""
        return sum(int(one["done"]) for one in self._request("GET", "/crypto-faults"))

    def books(self, venue: str, native: str, ids: Sequence[int], depth: int) -> list[dict[str, Any] | None]:
        """Give a book as it was at each of these ids; None where the venue remembers it no longer."""
        asked = {"ids": list(ids), "depth": depth}
        found: list[dict[str, Any] | None] = self._request("POST", f"/books/{venue}/{native}", asked)["books"]
        return found

    def venues(self) -> dict[str, Any]:
        """Give what each venue says of itself."""
        found: dict[str, Any] = self._request("GET", "/venues")
        return found

    def _request(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  # the side door's own documents
        try:
            reply = self._client.request(method, path, json=body).raise_for_status()
            return reply.json() if reply.content else None
        except (httpx.HTTPError, json.JSONDecodeError) as error:
            raise VenueUnavailable(f"the sandbox's side door: {error}") from error


def levels_in_units(levels: Sequence[Sequence[str]], unit: Decimal) -> list[list[str]]:
    """Write the venue's levels as they should be published: one of the venue's quantity is worth `unit`."""
    return [[format_decimal(Decimal(price)), format_decimal(Decimal(quantity) * unit)] for price, quantity in levels]
