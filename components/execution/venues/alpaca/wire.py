"""One kept-alive HTTP client: each request goes out at most once and within a deadline."""

import asyncio
from collections.abc import Mapping
from typing import Final

import httpx

from components.execution.config import AlpacaConfig
from components.execution.core.venue import OutcomeUnknown, Unreachable
from components.execution.venues.alpaca.failures import classify_transport_error
from components.runtime.secrets import Secret

MS_PER_S: Final = 1_000
KEEPALIVE_S: Final = 90
"""How long a connection waits for its next request: longer than the pause between two reconciliations."""


class ApiKeys:
    """The two secrets of an account."""

    __slots__ = ("key", "secret")

    def __init__(self, key: Secret, secret: Secret) -> None:
        """Take them as their references gave them."""
        self.key = key
        self.secret = secret


class HttpClient:
    """Carries requests to Alpaca; it repeats nothing, follows no redirect and asks no proxy."""

    def __init__(self, config: AlpacaConfig, keys: ApiKeys) -> None:
        """Make the client; connections are made when they are needed."""
        connect_s, answer_s = config.connect_ms_max / MS_PER_S, config.answer_ms_max / MS_PER_S
        self._deadline_s = connect_s + answer_s
        self._client = httpx.AsyncClient(
            base_url=config.trading_url,
            headers={
                "APCA-API-KEY-ID": keys.key.reveal().decode(),
                "APCA-API-SECRET-KEY": keys.secret.reveal().decode(),
                "User-Agent": "xtrader",
            },
            timeout=httpx.Timeout(answer_s, connect=connect_s, pool=connect_s),
            limits=httpx.Limits(
                max_connections=config.connections_max,
                max_keepalive_connections=config.connections_max,
                keepalive_expiry=KEEPALIVE_S,
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> httpx.Response | Unreachable | OutcomeUnknown:
        """Send one request and give the answer, or what is known where none came."""
        headers = None if body is None else {"Content-Type": "application/json"}
        try:
            # The client's deadlines are for each step; a server that trickles is stopped by the whole one.
            async with asyncio.timeout(self._deadline_s):
                return await self._client.request(method, path, params=query, content=body, headers=headers)
        except httpx.TransportError as error:
            return classify_transport_error(error)
        except httpx.DecodingError as error:
            return OutcomeUnknown(f"the answer cannot be decoded: {error}")
        except TimeoutError:
            return OutcomeUnknown(f"no whole answer within {self._deadline_s:g} s")

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()
