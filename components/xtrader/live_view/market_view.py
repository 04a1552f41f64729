"""The current prices, positions and P&L, as published on the bus."""

from pathlib import Path
from typing import Any, Final

from components.contracts.market import BookState, Quote, SymbolHealth
from components.contracts.streams import MARKET, POSITIONS
from components.contracts.trading import Position, ProfitAndLoss, TradingStatus
from components.contracts.values import Symbol
from components.runtime.bus.bus import CLI_CLIENT, Bus, open_bus
from components.runtime.clock import Clock
from components.runtime.metrics import Metrics
from components.runtime.service import Inbound, MessageReceived, StreamBindings, StreamLost, StreamSynced

MESSAGES_PER_POLL_MAX: Final = 2_000
"""The rest is read at the next poll: the view may lag, but must not delay the supervision of the processes."""


class NullLog:
    """A logger that drops the bus's own events: the view has no line for them, and the components log theirs."""

    def warning(self, event: str, **fields: Any) -> None:  # noqa: ANN401  # as the logger declares it
        """Drop the event."""


def open_market_view(run_dir: Path, clock: Clock) -> "MarketView":
    """Subscribe to both streams; their producers need not be running yet."""
    bindings = StreamBindings(component=CLI_CLIENT, subscribes={MARKET: None, POSITIONS: None})
    return MarketView(open_bus(run_dir, bindings, clock=clock, metrics=Metrics(CLI_CLIENT, ""), log=NullLog()))


class MarketView:
    """Subscriber that keeps the latest value of each message."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.quotes: dict[Symbol, Quote] = {}
        self.book_states: dict[Symbol, BookState] = {}
        self.positions: dict[Symbol, Position] = {}
        self.profit_and_loss: ProfitAndLoss | None = None
        self.trading_status: TradingStatus | None = None

    def poll(self) -> None:
        """Apply the messages that arrived since the last poll."""
        for inbound in (*self._bus.drain(MESSAGES_PER_POLL_MAX), *self._bus.poll_background()):
            self.apply(inbound)

    def apply(self, inbound: Inbound) -> None:
        """Apply one input; the values of a lost stream are unknown until it is in sync again."""
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
        """Close the bus."""
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
