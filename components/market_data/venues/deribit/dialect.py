"""Deribit's words: what is asked of it, and what its frames say."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from components.contracts.values import Symbol, Venue
from components.market_data.core.changes import DepthImage
from components.market_data.core.feed import Data, Odd, Oddity
from components.market_data.core.instruments import Instrument, Registry
from components.market_data.core.rules import Rule
from components.market_data.venues.deribit import instruments, limits, settings, subscribe
from components.market_data.venues.deribit.answers import DETAIL_MAX, Answers
from components.market_data.venues.deribit.decode import CHANNEL, CHANNEL_WITHIN, Frames
from components.market_data.venues.deribit.login import Login
from components.market_data.venues.deribit.messages import STRANGE, messages
from components.market_data.venues.deribit.rule import RULE
from components.market_data.venues.deribit.settings import RAW, DeribitSettings
from components.market_data.venues.dialect import Ask, Limits, LinePlan, Read
from components.market_data.venues.keys import KeyPair

NOTHING: Final[Sequence[Data]] = ()
BOOK_HEAD: Final = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"book.'
"""As this venue writes it today; however else it may be written, the second look finds the channel."""


class DeribitDialect:
    """Speaks with Deribit."""

    def __init__(
        self,
        stream_url: str,
        rest_url: str,
        chosen: DeribitSettings,
        keys: KeyPair | None = None,
        allowed: Limits = limits.LIMITS,
    ) -> None:
        """Take where it is and what is wanted of it; ValueError where that cannot be had."""
        self.stream_url, self.rest_url = stream_url, rest_url
        self._settings = settings.check(chosen, has_keys=keys is not None)
        self._limits = allowed
        self._login = Login(keys, chosen.heartbeat_s) if keys is not None and chosen.interval == RAW else None
        self._requests = subscribe.Requests(chosen)
        self._answers = Answers(self._requests, self._login)
        self._registry = Registry(())
        self._frames = Frames()
        self._read_book = self._frames.books
        self._readers: dict[bytes, Callable[[bytes, int], Sequence[Data]]] = {
            b"book.": self._frames.books,
            b"quote": self._frames.quotes,
            b"trade": self._frames.trades,
            # Recordings hold them; what they say of the book, the book says better.
            b"ticke": lambda _frame, _at_ns: NOTHING,
        }

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return instruments.DERIBIT

    @property
    def limits(self) -> Limits:
        """Say what it allows."""
        return self._limits

    @property
    def rule(self) -> Rule:
        """Say how its books are kept in sync."""
        return RULE

    @property
    def pushes_image(self) -> bool:
        """Say that the first notification of a book is all of it."""
        return True

    @property
    def greets(self) -> bool:
        """Say whether a login comes first."""
        return self._login is not None

    def instrument_asks(self) -> Sequence[Ask]:
        """Ask for the instruments of each kind."""
        return instruments.asks(self._settings)

    def read_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read the answers."""
        return instruments.read(bodies)

    def learn(self, registry: Registry) -> None:
        """Take the instruments that frames will be about."""
        self._registry = registry
        self._frames.learn(registry)

    def plan(self, symbols: Sequence[Symbol]) -> tuple[LinePlan, ...]:
        """Spread the channels of these symbols over connections."""
        most = self._limits.topics_per_line
        return tuple(subscribe.plan(self._settings, self.stream_url, symbols, self._registry, most))

    def hello(self) -> Iterable[str]:
        """Log in where that is needed, and ask to be tested for being alive."""
        login = () if self._login is None else (self._login.hello(),)
        heartbeat = subscribe.write("public/set_heartbeat", subscribe.HEARTBEAT_ID, interval=self._settings.heartbeat_s)
        return (*login, heartbeat)

    def subscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write one subscription."""
        return self._requests.subscribe(names, request_id)

    def unsubscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return self._requests.unsubscribe(names, request_id)

    def ping(self) -> str:
        """Ask whether the venue is there."""
        return subscribe.probe()

    def read(self, frame: bytes, received_at_ns: int) -> Read:
        """Read one frame."""
        try:
            if frame.startswith(BOOK_HEAD):
                return Read(self._read_book(frame, received_at_ns))
            start = frame.find(CHANNEL, 0, CHANNEL_WITHIN)
            if start >= 0:
                start += len(CHANNEL)
                reader = self._readers.get(frame[start : start + 5])
                if reader is not None:
                    return Read(reader(frame, received_at_ns))
            return self._read_message(frame, received_at_ns)
        except STRANGE as error:
            return Read((self._malformed(frame, error),))

    def image_ask(self, symbol: Symbol) -> Ask:
        """Ask for a whole book."""
        native, depth = self._registry.require(symbol).native, self._settings.depth
        return Ask(path=f"{instruments.API}/get_order_book?instrument_name={native}&depth={depth}")

    def read_image(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthImage:
        """Read the answer."""
        return self._frames.image(self._registry.require(symbol), body, received_at_ns)

    def is_final(self, status: int) -> bool:
        """Say whether an HTTP status means that trying again cannot help."""
        return limits.is_final(status)

    def _malformed(self, frame: bytes, error: Exception) -> Odd:
        # Only a book that missed something has to know.
        symbol = self._frames.told_of(frame) if CHANNEL + b"book." in frame[:CHANNEL_WITHIN] else None
        return Odd(Oddity.MALFORMED, str(error)[:DETAIL_MAX], symbol)

    def _read_message(self, frame: bytes, received_at_ns: int) -> Read:
        message = messages.decode(frame)
        if message.method != "subscription":
            return self._answers.read(message, received_at_ns)
        # JSON may be spaced and ordered otherwise than this venue does it today; it costs a second look.
        channel = message.params.channel
        reader = self._readers.get(channel[:5].encode())
        if reader is None:
            return Read((Odd(Oddity.UNKNOWN, f"channel {channel[:DETAIL_MAX]}"),))
        return Read(reader(frame, received_at_ns))
