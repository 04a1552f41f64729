"""Subscribes to a running market_data and rebuilds books from what it publishes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from components.contracts.errors import PeerUnreachable
from components.contracts.market import BookDelta, BookLevels, BookSnapshot, BookState, SymbolHealth
from components.contracts.streams import Stream
from components.contracts.values import Symbol
from components.runtime.bus.bus import follow, open_bus
from components.runtime.clock import NS_PER_MS, SystemClock
from components.runtime.config.settings import load_settings
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.process.manifest import read_manifest
from components.runtime.service import MessageReceived, StreamBindings, StreamLost, StreamSynced

SYNC_TIMEOUT_MS: Final = 5_000
"""How long a running market_data may take to send the state of a stream."""
POLL_MS: Final = 20


@dataclass(slots=True)
class BookReplica:
    """A published book, rebuilt from its messages."""

    symbol: Symbol
    book_id: int = -1
    sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = field(default_factory=lambda: ({}, {}))
    state: BookState = BookState.SYNCING
    reason: str = "no message received yet"
    venue_at_ns: int = 0
    received_at_ns: int = 0

    @property
    def bids(self) -> BookLevels:
        """Return the bids, best first."""
        return tuple(sorted(self.sides[0].items(), reverse=True))

    @property
    def asks(self) -> BookLevels:
        """Return the asks, best first."""
        return tuple(sorted(self.sides[1].items()))

    def apply(self, body: Any) -> bool:  # noqa: ANN401  # any message of the stream
        """Apply a message about this book; return whether it was one."""
        if getattr(body, "symbol", None) != self.symbol:
            return False
        match body:
            case BookSnapshot():
                self.sides = dict(body.bids), dict(body.asks)
                self._set_position(body)
            case BookDelta() if body.previous_id == self.book_id:
                for side, levels in zip(self.sides, (body.bids, body.asks), strict=True):
                    side.update(levels)
                    for price in [price for price, quantity in levels if not quantity]:
                        del side[price]
                self._set_position(body)
            case SymbolHealth():
                self.state, self.reason = body.state, body.reason
            case _:
                return False
        return True

    def _set_position(self, body: BookSnapshot | BookDelta) -> None:
        self.book_id, self.venue_at_ns, self.received_at_ns = body.book_id, body.venue_at_ns, body.received_at_ns


def subscribe(stream: Stream) -> Iterator[tuple[Any, ...]]:
    """Yield the current state of a stream, then each message that follows; after a loss the state again."""
    bindings, clock = StreamBindings(component="command", subscribes={stream: None}), SystemClock()
    bus = open_bus(_run_folder(), bindings, clock=clock, metrics=Metrics("command", ""), log=logger())
    until_ns: int | None = clock.monotonic_ns() + SYNC_TIMEOUT_MS * NS_PER_MS
    try:
        while until_ns is None or clock.monotonic_ns() < until_ns:
            for inbound in (*bus.receive(POLL_MS), *bus.poll_background()):
                if isinstance(inbound, StreamSynced):
                    until_ns = None
                    yield inbound.snapshot
                elif isinstance(inbound, StreamLost):
                    until_ns = clock.monotonic_ns() + SYNC_TIMEOUT_MS * NS_PER_MS
                elif isinstance(inbound, MessageReceived):
                    yield (inbound.body,)
    finally:
        bus.close()
    raise PeerUnreachable(f"market_data sent no snapshot of {stream.name} within {SYNC_TIMEOUT_MS} ms")


def current_state(stream: Stream) -> tuple[Any, ...]:
    """Return the current state of a stream."""
    return next(subscribe(stream))


def replicate(symbol: Symbol, batches: Iterable[tuple[Any, ...]]) -> Iterator[BookReplica]:
    """Yield a book after the first batch of messages, then after each batch that changed it."""
    book, is_first = BookReplica(symbol), True
    for batch in batches:
        applied = [book.apply(body) for body in batch]
        if is_first and not any(applied):
            symbols = sorted({body.symbol for body in batch if isinstance(body, SymbolHealth)})
            book.reason = f"no such book; there is {', '.join(symbols) or 'none'}"
        if is_first or any(applied):
            yield book
        is_first = False


def follow_messages(stream: Stream, symbol: str | None) -> Iterator[tuple[int, Any]]:
    """Yield the messages of a stream from now on, each with its sequence number."""
    wanted = symbol.upper() if symbol else None
    for one in follow(_run_folder(), stream):
        if wanted is None or getattr(one.body, "symbol", None) == wanted:
            yield one.header.sequence, one.body


def _run_folder() -> Path:
    paths = load_settings().paths
    if read_manifest(paths, "market_data") is None:
        raise PeerUnreachable(f"market_data is not running ({paths.manifest('market_data')})")
    return paths.run
