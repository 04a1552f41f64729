"""The words of Alpaca's crypto stream: what is asked of it, and what its frames say."""

from collections.abc import Iterable, Sequence

from components.contracts.errors import VenueRejected
from components.contracts.values import Symbol, Venue
from components.market_data.core.changes import DepthImage
from components.market_data.core.instruments import Instrument, Registry
from components.market_data.core.rules import Rule
from components.market_data.venues.alpaca import instruments, limits, subscribe
from components.market_data.venues.alpaca.decode import Frames, Word
from components.market_data.venues.alpaca.failures import of_code
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.alpaca.messages import Failure, Success
from components.market_data.venues.alpaca.rule import RULE
from components.market_data.venues.alpaca.subscribe import Asked, Requests, name
from components.market_data.venues.dialect import Alive, Ask, Control, Greeted, Limits, LinePlan, Read, Refused
from components.market_data.venues.keys import KeyPair

AUTHENTICATED = "authenticated"


class AlpacaCryptoDialect:
    """Speaks with Alpaca's crypto stream, /v1beta3/crypto/us, on the account's one connection."""

    def __init__(
        self,
        stream_url: str,
        rest_url: str,
        settings: CryptoSettings,
        keys: KeyPair,
        allowed: Limits = limits.LIMITS,
    ) -> None:
        """Take where it is, what is wanted of it, and who asks."""
        self.stream_url, self.rest_url = stream_url, rest_url
        self._settings, self._keys, self._limits = settings, keys, allowed
        self._requests = Requests()
        self._registry = Registry(())
        self._frames = Frames()

    @property
    def venue(self) -> Venue:
        """Name the venue."""
        return instruments.ALPACA

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
        """Say that a subscription begins with all of a book."""
        return True

    @property
    def greets(self) -> bool:
        """Say that nothing is heard without keys."""
        return True

    def instrument_asks(self) -> Sequence[Ask]:
        """Ask which of the chosen pairs there are."""
        return (instruments.ask(self._settings.pairs),)

    def read_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read the answers."""
        return instruments.read(bodies, self._settings.step)

    def learn(self, registry: Registry) -> None:
        """Take the instruments that frames will be about."""
        self._registry = registry
        self._frames.learn(registry)

    def plan(self, symbols: Sequence[Symbol]) -> tuple[LinePlan, ...]:
        """Put everything on the one connection there may be."""
        topics = subscribe.topics(self._settings, symbols, self._registry)
        return (LinePlan("crypto", self.stream_url, topics),) if topics else ()

    def hello(self) -> Iterable[str]:
        """Say who we are."""
        self._requests.forget()
        return (subscribe.authenticate(self._keys),)

    def subscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write one subscription."""
        return self._requests.write(Asked(tuple(names), request_id, ends=False))

    def unsubscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write the end of one."""
        return self._requests.write(Asked(tuple(names), request_id, ends=True))

    def ping(self) -> None:
        """Have none: a websocket ping does."""

    def read(self, frame: bytes, received_at_ns: int) -> Read:
        """Read one frame."""
        data, words = self._frames.read(frame, received_at_ns)
        return Read(data, [control for word in words for control in self._heard(word)])

    def image_ask(self, symbol: Symbol) -> Ask:
        """Ask for a whole book."""
        return instruments.ask((self._registry.require(symbol).native,))

    def read_image(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthImage:
        """Read the answer."""
        return self._frames.image(self._registry.require(symbol), body, received_at_ns)

    def is_final(self, status: int) -> bool:
        """Say whether an HTTP status means that trying again cannot help."""
        return limits.is_final(status)

    def _heard(self, word: Word) -> Sequence[Control]:
        if isinstance(word, Success):
            return (Greeted() if word.msg == AUTHENTICATED else Alive(),)
        if isinstance(word, Failure):
            return (self._failed(word),)
        channels = (("orderbooks", word.orderbooks), ("quotes", word.quotes), ("trades", word.trades))
        return self._requests.stands(name(channel, pair) for channel, pairs in channels for pair in pairs)

    def _failed(self, failure: Failure) -> Control:
        if failure.code == limits.ALREADY_IN:
            return Alive()
        error = of_code(failure.code, failure.msg)
        is_permanent = isinstance(error, VenueRejected)
        if failure.code in limits.OF_A_REQUEST:
            return self._requests.refused(str(error), is_permanent=is_permanent)
        return Refused((), str(error), is_permanent)
