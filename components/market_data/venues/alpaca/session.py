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
from components.market_data.venues.alpaca.failures import of_code, of_status
from components.market_data.venues.alpaca.messages import (
    AlpacaMessage,
    Authenticate,
    Failure,
    Subscribe,
    Subscription,
    Success,
    decode,
    encode,
)
from components.runtime.secrets import Secret

MS_PER_S = 1_000


class Keys:
    """The two secrets of an account."""

    __slots__ = ("key", "secret")

    def __init__(self, key: Secret, secret: Secret) -> None:
        """Take them as references gave them."""
        self.key = key
        self.secret = secret


class Session:
    """A subscribed connection; frames are received raw, for whoever decodes also stamps."""

    def __init__(self, connection: ClientConnection, reply_ms_max: int) -> None:
        """Wrap a connection that has just been opened."""
        self._connection = connection
        self._reply_s_max = reply_ms_max / MS_PER_S
        self._waiting: list[AlpacaMessage] = []

    async def authenticate(self, keys: Keys) -> None:
        """Go through Alpaca's handshake: wait to be connected, then say who we are."""
        await self._success("connected")
        key, secret = keys.key.reveal().decode(), keys.secret.reveal().decode()
        await self._connection.send(encode(Authenticate(key, secret)))
        await self._success("authenticated")

    async def subscribe(self, symbols: Sequence[Symbol]) -> None:
        """Ask for trades and quotes, and hold the answer against what was asked: it is always the whole set."""
        await self._connection.send(encode(Subscribe(tuple(symbols), tuple(symbols))))
        reply = await self._reply()
        if not isinstance(reply, Subscription):
            raise VenueUnavailable(f"the venue answered the subscription with {type(reply).__name__}")
        missing = sorted(set(symbols) - (set(reply.trades) & set(reply.quotes)))
        if missing:
            raise VenueUnavailable(f"the venue left out of the subscription: {', '.join(missing)}")

    async def receive(self) -> bytes:
        """Wait for the next frame."""
        return await self._connection.recv(decode=False)

    async def _success(self, expected: str) -> None:
        reply = await self._reply()
        if not isinstance(reply, Success) or reply.msg != expected:
            raise VenueUnavailable(f"the venue did not say {expected!r} but {reply}")

    async def _reply(self) -> AlpacaMessage:
        # An array may hold more than one reply; and a server may send nothing at all, so each wait has an end.
        async with asyncio.timeout(self._reply_s_max):
            while not self._waiting:
                self._waiting += decode(await self.receive()).messages
        reply = self._waiting.pop(0)
        if isinstance(reply, Failure):
            raise of_code(reply.code, reply.msg)
        return reply


@asynccontextmanager
async def open_session(config: AlpacaConfig, keys: Keys, symbols: Sequence[Symbol]) -> AsyncIterator[Session]:
    """Connect, authenticate, subscribe; close cleanly at the end, for the account has only one connection."""
    try:
        async with _connect(config) as connection:
            try:
                session = Session(connection, config.reply_ms_max)
                await session.authenticate(keys)
                await session.subscribe(symbols)
                yield session
            finally:
                # Being stopped is no error of ours (1011): say goodbye as one should.
                await connection.close()
    except InvalidStatus as error:
        raise of_status(error.response.status_code) from error
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
