"""What the bus says of prices, positions and the result, as it is now."""

from pathlib import Path
from typing import Any, Final

from components.contracts.market import BookState, Quote, SymbolHealth
from components.contracts.positions import Position, ProfitAndLoss, TradingStatus
from components.contracts.topics import MARKET, POSITIONS
from components.contracts.values import Symbol
from components.runtime.bus import Bus, open_bus
from components.runtime.clock import Clock
from components.runtime.lines import Lines
from components.runtime.metrics import Metrics
from components.runtime.service import Heard, Inbound, Joined, Lost

DRAINED_AT_ONCE_MAX: Final = 2_000
"""What waited longer is taken the next time: the view may be late, the processes must not be."""


class Unheard:
    """The bus's own log, which the view has no line for: the components' logs hold it."""

    def warning(self, event: str, **facts: Any) -> None:  # noqa: ANN401  # as the logger declares it
        """Write nothing."""


def open_ear(run: Path, clock: Clock) -> "Ear":
    """Join both streams; their speakers need not be there yet."""
    lines = Lines(component="verb", hears={MARKET: None, POSITIONS: None})
    return Ear(open_bus(run, lines, clock=clock, metrics=Metrics("verb", ""), log=Unheard()))


class Ear:
    """Listens; takes what is there whenever it is asked."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.quotes: dict[Symbol, Quote] = {}
        self.books: dict[Symbol, BookState] = {}
        self.positions: dict[Symbol, Position] = {}
        self.result: ProfitAndLoss | None = None
        self.status: TradingStatus | None = None

    def listen(self) -> None:
        """Take in what was said since the last time."""
        for inbound in (*self._bus.drain(DRAINED_AT_ONCE_MAX), *self._bus.tend()):
            self.hear(inbound)

    def hear(self, inbound: Inbound) -> None:
        """Take in one thing; a lost stream is not known until it is joined again."""
        match inbound:
            case Heard(body=body):
                self._note(body)
            case Joined(messages=messages):
                for message in messages:
                    self._note(message)
            case Lost(stream=stream) if stream is MARKET:
                self.books.clear()
            case Lost():
                self.result = self.status = None
            case _:
                return

    def close(self) -> None:
        """Stop listening."""
        self._bus.close()

    def _note(self, body: object) -> None:
        match body:
            case Quote(symbol=symbol):
                self.quotes[symbol] = body
            case SymbolHealth(symbol=symbol, state=state):
                self.books[symbol] = state
            case Position(symbol=symbol):
                self.positions[symbol] = body
            case ProfitAndLoss():
                self.result = body
            case TradingStatus():
                self.status = body
            case _:
                return
