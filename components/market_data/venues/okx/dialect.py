"""OKX as the lines see it: its words for asking, and what its answers and frames mean."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from components.contracts.values import Symbol, Venue
from components.market_data.core.changes import DepthImage
from components.market_data.core.feed import Odd, Oddity
from components.market_data.core.instruments import Instrument, Registry
from components.market_data.core.rules import Remedy
from components.market_data.venues.dialect import Alive, Ask, Confirmed, Limits, LinePlan, Read
from components.market_data.venues.okx import instruments, limits, subscribe
from components.market_data.venues.okx.decode import BAD_FRAME, Decoder
from components.market_data.venues.okx.events import read_event
from components.market_data.venues.okx.images import read_image
from components.market_data.venues.okx.rule import OkxRule
from components.market_data.venues.okx.settings import DepthChannel, OkxSettings

PONG: Final = b"pong"
EVENT: Final = b'"event"'
_CHANNEL: Final = re.compile(rb'"channel"\s*:\s*"([\w-]{1,40})"', re.ASCII)


class OkxDialect:
    """One venue's words; see the protocol Dialect."""

    def __init__(
        self, stream_url: str, rest_url: str, settings: OkxSettings, allowed: Limits = limits.OKX_LIMITS
    ) -> None:
        """Take where the venue is, what is chosen of it, and what it allows."""
        self.stream_url, self.rest_url, self.settings = stream_url, rest_url, settings
        self.limits = allowed
        # Ids of other channels are not those of the REST answer: only this one can be joined to it.
        joins = settings.depth_channel is DepthChannel.BOOKS
        self.rule = OkxRule(fallback=Remedy.FETCH if joins else Remedy.RESUBSCRIBE)
        self._registry = Registry(())
        self._decoder = Decoder(settings)
        self._depth_head = f'{{"arg":{{"channel":"{settings.depth_channel}"'.encode()

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return instruments.OKX

    @property
    def pushes_image(self) -> bool:
        """Say so: every channel of a book begins with all of it, or is nothing else."""
        return True

    @property
    def greets(self) -> bool:
        """Say no: what is public needs no login."""
        return False

    def instrument_asks(self) -> Sequence[Ask]:
        """Ask for the types that are listened to."""
        return instruments.instrument_asks(self.settings)

    def read_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read what is listed."""
        return instruments.read_instruments(bodies)

    def learn(self, registry: Registry) -> None:
        """Take the instruments by whose names frames are read from now on."""
        self._registry = registry
        self._decoder.learn(registry)

    def plan(self, symbols: Sequence[Symbol]) -> tuple[LinePlan, ...]:
        """Spread the subscriptions over connections."""
        wanted = [self._registry.require(symbol) for symbol in dict.fromkeys(symbols)]
        return subscribe.plan(self.stream_url, wanted, self.settings)

    def hello(self) -> Iterable[str]:
        """Say nothing."""
        return ()

    def subscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write a subscription."""
        return subscribe.write_request("subscribe", names, request_id)

    def unsubscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return subscribe.write_request("unsubscribe", names, request_id)

    def ping(self) -> str:
        """Write the venue's ping, which is a text of its own."""
        return "ping"

    def read(self, frame: bytes, received_at_ns: int) -> Read:
        """Read one frame."""
        if frame.startswith(self._depth_head):
            return Read(self._decoder.depth(frame, received_at_ns))
        if frame == PONG:
            return Read(control=(Alive(),))
        if EVENT in frame:
            return self._event(frame)
        channel = _CHANNEL.search(frame)
        if channel is None:
            return _malformed("neither data nor an event")
        return Read(self._decoder.data(channel[1].decode("ascii"), frame, received_at_ns))

    def image_ask(self, symbol: Symbol) -> Ask:
        """Ask for as much of a book as the channel keeps."""
        native = self._registry.require(symbol).native
        levels = self.settings.depth_channel.levels
        return Ask(path=f"/api/v5/market/books?instId={native}&sz={levels}&source=0")

    def read_image(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthImage:
        """Read the answer."""
        return read_image(symbol, body, received_at_ns)

    def is_final(self, status: int) -> bool:
        """Say whether an HTTP status is for good."""
        return limits.is_final(status)

    def _event(self, frame: bytes) -> Read:
        try:
            read = read_event(frame)
        except BAD_FRAME as error:
            return _malformed(str(error))
        for control in read.control:
            if isinstance(control, Confirmed):
                self._begin(control)
        return read

    def _begin(self, confirmed: Confirmed) -> None:
        for name in confirmed.names:
            channel, _, native = name.partition(":")
            if channel == subscribe.TRADES:
                self._decoder.begin(native)


def _malformed(detail: str) -> Read:
    return Read((Odd(Oddity.MALFORMED, detail),))
