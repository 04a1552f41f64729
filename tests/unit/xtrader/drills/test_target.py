"""The client of the sandbox's admin API."""

import json

import httpx
import pytest

from components.contracts.errors import VenueUnavailable
from components.xtrader.drills.target import SandboxAdmin


def sandbox_admin(response: httpx.Response | httpx.HTTPError) -> tuple[SandboxAdmin, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if isinstance(response, httpx.HTTPError):
            raise response
        return response

    admin = SandboxAdmin("http://sandbox")
    admin._client = httpx.Client(base_url="http://sandbox", transport=httpx.MockTransport(handle))  # noqa: SLF001 -- the only way to replace the transport
    return admin, requests


def test_many_books_are_read_in_one_request() -> None:
    admin, requests = sandbox_admin(httpx.Response(200, json={"books": [None, {"bids": []}]}))
    assert admin.books("okx", "BTC-USDT", [1, 2], 10) == [None, {"bids": []}]
    assert (requests[0].url.path, json.loads(requests[0].content)) == (
        "/books/okx/BTC-USDT",
        {"ids": [1, 2], "depth": 10},
    )


@pytest.mark.parametrize(
    "response", [httpx.Response(500), httpx.Response(200, content=b"{"), httpx.ConnectError("refused")]
)
def test_a_failed_request_is_an_unavailable_venue(response: httpx.Response | httpx.HTTPError) -> None:
    admin, _ = sandbox_admin(response)
    with pytest.raises(VenueUnavailable, match="admin API"):
        admin.venues()
