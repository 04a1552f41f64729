"""One connection to Alpaca's stream, from the upgrade to the confirmed subscription."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from typing_extensions import override
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from components.contracts.errors import VenueRejected, VenueUnavailable
from components.contracts.values import Symbol
from components.market_data.config import AlpacaConfig
from components.market_data.venues.alpaca.failures import error_from_code, error_from_status
from components.market_data.venues.alpaca.messages import (
    Authenticate,
    ErrorMessage,
    StockMessage,
    StockSubscription,
    SubscribeStocks,
    Success,
    decode_stock_frame,
    encode_request,
)
from components.runtime.secrets import Secret

MS_PER_S = 1_000


class StockCredentials:
    """The two secrets of an account."""

    __slots__ = ("key", "secret")

    def __init__(self, key: Secret, secret: Secret) -> None:
        """Take them as references gave them."""
        self.key = key
        self.secret = secret


class StockConnection:
    """A subscribed connection; frames are received raw, for whoever decodes also stamps."""

    def __init__(self, connection: ClientConnection, reply_ms_max: int) -> None:
        """Wrap a connection that has just been opened."""
        self._connection = connection
        self._reply_s_max = reply_ms_max / MS_PER_S
        self._replies: list[StockMessage] = []

    async def authenticate(self, credentials: StockCredentials) -> None:
        """Go through Alpaca's handshake: wait to be connected, then say who we are."""
        await self._expect_success("connected")
        key, secret = credentials.key.reveal().decode(), credentials.secret.reveal().decode()
        await self._connection.send(encode_request(Authenticate(key, secret)))
        await self._expect_success("authenticated")

    async def subscribe(self, symbols: Sequence[Symbol]) -> None:
        """Ask for trades and quotes, and hold the answer against what was asked: it is always the whole set."""
        await self._connection.send(encode_request(SubscribeStocks(tuple(symbols), tuple(symbols))))
        reply = await self._next_reply()
        if not isinstance(reply, StockSubscription):
            raise VenueUnavailable(f"the venue answered the subscription with {type(reply).__name__}")
        missing = sorted(set(symbols) - (set(reply.trades) & set(reply.quotes)))
        if missing:
            raise VenueUnavailable(f"the venue left out of the subscription: {', '.join(missing)}")

    async def receive(self) -> bytes:
        """Wait for the next frame."""
        return await self._connection.recv(decode=False)

    async def _expect_success(self, expected: str) -> None:
        reply = await self._next_reply()
        if not isinstance(reply, Success) or reply.msg != expected:
            raise VenueUnavailable(f"the venue did not say {expected!r} but {reply}")

    async def _next_reply(self) -> StockMessage:
        # An array may hold more than one reply; and a server may send nothing at all, so each wait has an end.
        async with asyncio.timeout(self._reply_s_max):
            while not self._replies:
                self._replies += decode_stock_frame(await self.receive()).messages
        reply = self._replies.pop(0)
        if isinstance(reply, ErrorMessage):
            raise error_from_code(reply.code, reply.msg)
        return reply


@asynccontextmanager
async def open_connection(
    config: AlpacaConfig, credentials: StockCredentials, symbols: Sequence[Symbol]
) -> AsyncIterator[StockConnection]:
    """Connect, authenticate, subscribe; close cleanly at the end, for the account has only one connection."""
    try:
        async with _connect(config) as connection:
            try:
                session = StockConnection(connection, config.reply_ms_max)
                await session.authenticate(credentials)
                await session.subscribe(symbols)
                yield session
            finally:
                # Being stopped is no error of ours (1011): say goodbye as one should.
                await connection.close()
    except InvalidStatus as error:
        raise error_from_status(error.response.status_code) from error
    except InvalidURI as error:
        raise VenueRejected(f"stream_url: {error}") from error
    except ConnectionClosed as error:
        raise VenueUnavailable(f"the connection ended: {error}") from error
    except TimeoutError as error:
        raise VenueUnavailable("the venue did not answer in time") from error
    except (WebSocketException, OSError) as error:
        raise VenueUnavailable(f"cannot connect to {config.stream_url}: {error}") from error


class _DirectConnect(connect):
    """Connects to the configured host or not at all: the keys must not follow a redirect."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _connect(config: AlpacaConfig) -> connect:
    return _DirectConnect(
        config.stream_url,
        compression=None,  # inflating costs more than the bytes it saves on one host, or in one data centre
        proxy=None,
        open_timeout=config.connect_ms_max / MS_PER_S,
        close_timeout=config.close_ms_max / MS_PER_S,
        ping_interval=config.ping_every_ms / MS_PER_S,
        ping_timeout=config.ping_ms_max / MS_PER_S,
        max_size=config.frame_bytes_max,
    )
