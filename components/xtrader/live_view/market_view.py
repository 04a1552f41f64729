"""What the bus says of prices, positions and the result, as it is now."""

from pathlib import Path
from typing import Any, Final

from components.contracts.market import BookState, Quote, SymbolHealth
from components.contracts.streams import MARKET, POSITIONS
from components.contracts.trading import Position, ProfitAndLoss, TradingStatus
from components.contracts.values import Symbol
from components.runtime.bus.bus import Bus, open_bus
from components.runtime.clock import Clock
from components.runtime.metrics import Metrics
from components.runtime.service import Inbound, MessageReceived, StreamBindings, StreamLost, StreamSynced

MESSAGES_PER_POLL_MAX: Final = 2_000
"""What waited longer is taken the next time: the view may be late, the processes must not be."""


class NullLog:
    """The bus's own log, which the view has no line for: the components' logs hold it."""

    def warning(self, event: str, **facts: Any) -> None:  # noqa: ANN401  # as the logger declares it
        """Write nothing."""


def open_market_view(run_dir: Path, clock: Clock) -> "MarketView":
    """Join both streams; their speakers need not be there yet."""
    lines = StreamBindings(component="verb", subscribes={MARKET: None, POSITIONS: None})
    return MarketView(open_bus(run_dir, lines, clock=clock, metrics=Metrics("verb", ""), log=NullLog()))


class MarketView:
    """Listens; takes what is there whenever it is asked."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.quotes: dict[Symbol, Quote] = {}
        self.book_states: dict[Symbol, BookState] = {}
        self.positions: dict[Symbol, Position] = {}
        self.profit_and_loss: ProfitAndLoss | None = None
        self.trading_status: TradingStatus | None = None

    def poll(self) -> None:
        """Take in what was said since the last time."""
        for inbound in (*self._bus.drain(MESSAGES_PER_POLL_MAX), *self._bus.poll_background()):
            self.apply(inbound)

    def apply(self, inbound: Inbound) -> None:
        """Take in one thing; a lost stream is not known until it is joined again."""
        match inbound:
            case MessageReceived(body=body):
                self._apply_body(body)
            case StreamSynced(snapshot=messages):
                for message in messages:
                    self._apply_body(message)
            case StreamLost(stream=stream) if stream is MARKET:
                self.book_states.clear()
            case StreamLost():
                self.profit_and_loss = self.trading_status = None
            case _:
                return

    def close(self) -> None:
        """Stop listening."""
        self._bus.close()

    def _apply_body(self, body: object) -> None:
        match body:
            case Quote(symbol=symbol):
                self.quotes[symbol] = body
            case SymbolHealth(symbol=symbol, state=state):
                self.book_states[symbol] = state
            case Position(symbol=symbol):
                self.positions[symbol] = body
            case ProfitAndLoss():
                self.profit_and_loss = body
            case TradingStatus():
                self.trading_status = body
            case _:
                return
