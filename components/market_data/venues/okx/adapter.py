"""OKX as the lines see it: its words for asking, and what its answers and frames mean."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from components.contracts.values import Symbol, Venue
from components.market_data.core.changes import DepthSnapshot
from components.market_data.core.feed import DecodeIssue, IssueKind
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.core.rules import ResyncMethod
from components.market_data.venues.dialect import ConnectionPlan, Decoded, Heartbeat, Limits, RestRequest, SubscribeAck
from components.market_data.venues.okx import instruments, limits, subscribe
from components.market_data.venues.okx.decode import DECODE_ERRORS, Decoder
from components.market_data.venues.okx.events import decode_event
from components.market_data.venues.okx.images import decode_snapshot
from components.market_data.venues.okx.rule import OkxSequenceRule
from components.market_data.venues.okx.settings import DepthChannel, OkxSettings

PONG: Final = b"pong"
EVENT: Final = b'"event"'
_CHANNEL: Final = re.compile(rb'"channel"\s*:\s*"([\w-]{1,40})"', re.ASCII)


class OkxAdapter:
    """One venue's words; see the protocol Dialect."""

    def __init__(self, stream_url: str, rest_url: str, settings: OkxSettings, allowed: Limits = limits.LIMITS) -> None:
        """Take where the venue is, what is chosen of it, and what it allows."""
        self.stream_url, self.rest_url, self.settings = stream_url, rest_url, settings
        self.limits = allowed
        # Ids of other channels are not those of the REST answer: only this one can be joined to it.
        joins = settings.depth_channel is DepthChannel.BOOKS
        self.sequence_rule = OkxSequenceRule(fallback_method=ResyncMethod.FETCH if joins else ResyncMethod.RESUBSCRIBE)
        self._registry = InstrumentRegistry(())
        self._decoder = Decoder(settings)
        self._depth_prefix = f'{{"arg":{{"channel":"{settings.depth_channel}"'.encode()

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return instruments.OKX

    @property
    def pushes_snapshot(self) -> bool:
        """Say so: every channel of a book begins with all of it, or is nothing else."""
        return True

    @property
    def requires_login(self) -> bool:
        """Say no: what is public needs no login."""
        return False

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Ask for the types that are listened to."""
        return instruments.instrument_requests(self.settings)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read what is listed."""
        return instruments.decode_instruments(bodies)

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Take the instruments by whose names frames are read from now on."""
        self._registry = registry
        self._decoder.set_instruments(registry)

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Spread the subscriptions over connections."""
        wanted = [self._registry.require(symbol) for symbol in dict.fromkeys(symbols)]
        return subscribe.plan_connections(self.stream_url, wanted, self.settings)

    def login_messages(self) -> Iterable[str]:
        """Say nothing."""
        return ()

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write a subscription."""
        return subscribe.encode_request("subscribe", names, request_id)

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return subscribe.encode_request("unsubscribe", names, request_id)

    def ping_message(self) -> str:
        """Write the venue's ping, which is a text of its own."""
        return "ping"

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Read one frame."""
        if frame.startswith(self._depth_prefix):
            return Decoded(self._decoder.decode_depth(frame, received_at_ns))
        if frame == PONG:
            return Decoded(control=(Heartbeat(),))
        if EVENT in frame:
            return self._decode_event(frame)
        channel = _CHANNEL.search(frame)
        if channel is None:
            return _malformed("neither data nor an event")
        return Decoded(self._decoder.decode(channel[1].decode("ascii"), frame, received_at_ns))

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        """Ask for as much of a book as the channel keeps."""
        native = self._registry.require(symbol).venue_symbol
        levels = self.settings.depth_channel.levels
        return RestRequest(path=f"/api/v5/market/books?instId={native}&sz={levels}&source=0")

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Read the answer."""
        return decode_snapshot(symbol, body, received_at_ns)

    def is_permanent_status(self, status: int) -> bool:
        """Say whether an HTTP status is for good."""
        return limits.is_permanent_status(status)

    def _decode_event(self, frame: bytes) -> Decoded:
        try:
            read = decode_event(frame)
        except DECODE_ERRORS as error:
            return _malformed(str(error))
        for control in read.control:
            if isinstance(control, SubscribeAck):
                self._on_subscribed(control)
        return read

    def _on_subscribed(self, confirmed: SubscribeAck) -> None:
        for name in confirmed.names:
            channel, _, native = name.partition(":")
            if channel == subscribe.TRADES:
                self._decoder.on_trades_subscribed(native)


def _malformed(detail: str) -> Decoded:
    return Decoded((DecodeIssue(IssueKind.MALFORMED, detail),))
