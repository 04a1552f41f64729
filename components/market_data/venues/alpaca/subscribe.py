"""What is said to Alpaca's crypto stream, and which of its answers belongs to what."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from components.contracts.values import Symbol
from components.market_data.core.instruments import Registry
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.alpaca.messages import Authenticate
from components.market_data.venues.dialect import Channel, Confirmed, Control, Refused, Topic, Unsubscribed
from components.market_data.venues.keys import KeyPair

CHANNELS: Final = {Channel.DEPTH: "orderbooks", Channel.QUOTES: "quotes", Channel.TRADES: "trades"}

_encoder: Final = msgspec.json.Encoder()


class Asked(Struct, frozen=True, gc=False):
    """A request that waits for its answer."""

    names: tuple[str, ...]
    request_id: int
    ends: bool
    """It ends its topics."""


def authenticate(keys: KeyPair) -> str:
    """Say who we are."""
    key, secret = keys.reveal()
    return _encoder.encode(Authenticate(key, secret)).decode()


def topics(settings: CryptoSettings, symbols: Sequence[Symbol], known: Registry) -> tuple[Topic, ...]:
    """Name all that is wanted of these symbols; a topic is its channel and its pair, orderbooks:BTC/USD."""
    wanted = {Channel.DEPTH: True, Channel.QUOTES: settings.quotes, Channel.TRADES: settings.trades}
    return tuple(
        Topic(channel, symbol, name(CHANNELS[channel], known.require(symbol).native))
        for symbol in symbols
        for channel, is_wanted in wanted.items()
        if is_wanted
    )


def name(channel: str, pair: str) -> str:
    """Name a topic, which the venue itself names in two words."""
    return f"{channel}:{pair}"


class Requests:
    """The requests that wait; the venue numbers nothing, but answers one after the other."""

    def __init__(self) -> None:
        self._waiting: deque[Asked] = deque()

    def forget(self) -> None:
        """Forget all: what was asked on another connection is never answered."""
        self._waiting.clear()

    def write(self, asked: Asked) -> str:
        """Write a request."""
        self._waiting.append(asked)
        wanted: dict[str, list[str]] = {}
        for one in asked.names:
            channel, _, pair = one.partition(":")
            wanted.setdefault(channel, []).append(pair)
        return _encoder.encode({"action": "unsubscribe" if asked.ends else "subscribe", **wanted}).decode()

    def stands(self, names: Iterable[str]) -> Sequence[Control]:
        """Hear the whole set that is subscribed now, which is how every request is answered."""
        present = tuple(names)
        if not self._waiting:
            return (Confirmed(present),)
        asked = self._waiting.popleft()
        if asked.ends:
            return (Unsubscribed(asked.names, asked.request_id),)
        return _begun(asked, set(present))

    def refused(self, reason: str, *, is_permanent: bool) -> Refused:
        """Hear that the oldest request is refused."""
        if not self._waiting:
            return Refused((), reason, is_permanent)
        asked = self._waiting.popleft()
        return Refused(asked.names, reason, is_permanent, asked.request_id)


def _begun(asked: Asked, present: set[str]) -> Sequence[Control]:
    begun = tuple(one for one in asked.names if one in present)
    missing = tuple(one for one in asked.names if one not in present)
    said: list[Control] = []
    if begun:
        said.append(Confirmed(begun, asked.request_id))
    if missing:
        reason = f"the venue left out of the subscription: {', '.join(missing)}"
        said.append(Refused(missing, reason, is_permanent=True, request_id=asked.request_id))
    return said
