"""What the live view shows at one moment, gathered from the run monitor and the bus."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Final

from components.contracts.decisions import Decision
from components.contracts.orders import OrderSending, OrderState
from components.contracts.trading import TradingState
from components.contracts.values import ZERO, Symbol, format_decimal
from components.runtime.clock import NS_PER_MS
from components.signals.core.model import edge_of
from components.xtrader.explain.history import OrderHistory
from components.xtrader.explain.text import describe_intent
from components.xtrader.live_view.market_view import MarketView
from components.xtrader.supervisor.supervisor import Supervisor
from components.xtrader.up.monitor import RunMonitor

ROWS_MAX: Final = 40
"""More rows than any terminal has for one list."""


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """One component: whether it is ready, and its unmet conditions."""

    name: str
    is_ready: bool
    detail: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class SymbolRow:
    """One symbol: its quote, the state of its book, and the position."""

    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    age_ms: float | None = None
    book_state: str = "unknown"
    position: Decimal = Decimal(0)
    average_price: Decimal | None = None
    unrealised: Decimal | None = None
    working: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A signal and risk's decision."""

    at_ns: int
    intent: str
    edge: float | None
    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order and its state."""

    at_ns: int
    intent: str
    state: str
    outcome: str
    sent_ms: float | None
    done_ms: float | None
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewModel:
    """Everything that is shown."""

    title: str
    now_ns: int
    running_s: float
    trading_state: TradingState | None = None
    causes: tuple[str, ...] = ()
    components: tuple[ComponentRow, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    realised: Decimal | None = None
    unrealised: Decimal | None = None
    latency_ms: dict[str, float] = field(default_factory=dict)
    symbols: tuple[SymbolRow, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    explanation: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    """The newest last; the lists above begin with the newest."""


def build_view_model(monitor: RunMonitor, market: MarketView, now_ns: int) -> ViewModel:
    """Return the view model of this moment."""
    status, pnl = market.trading_status, market.profit_and_loss
    latency_us = monitor.metrics.latency_us()["tick_to_order"]
    return ViewModel(
        title=monitor.title,
        now_ns=now_ns,
        running_s=(now_ns - monitor.started_at_ns) / 1e9,
        trading_state=None if status is None else status.state,
        causes=() if status is None else tuple(status.causes),
        components=component_rows(monitor.supervisor),
        counts=run_counts(monitor),
        realised=None if pnl is None else pnl.realised,
        unrealised=None if pnl is None else pnl.unrealised,
        latency_ms={name: latency_us[name] / 1e3 for name in ("p50", "p99") if name in latency_us},
        symbols=symbol_rows(market, now_ns),
        decisions=tuple(islice(_decision_rows(monitor.histories), ROWS_MAX)),
        orders=tuple(islice(_order_rows(monitor.histories), ROWS_MAX)),
    )


def component_rows(supervisor: Supervisor) -> tuple[ComponentRow, ...]:
    """Return a row for each component."""
    return tuple(
        ComponentRow(name, child.is_ready, child.readiness.detail, child.restarts)
        for name, child in supervisor.children.items()
    )


def run_counts(monitor: RunMonitor) -> dict[str, int]:
    """Return the counts in display order."""
    orders = {name: count for name, count in monitor.statistics.order_counts().items() if name != "submitted"}
    return {
        "approved": monitor.statistics.approved_signals,
        "refused": monitor.statistics.refused_signals,
        **orders,
        "gaps": monitor.metrics.gaps,
        "restarts": sum(child.restarts for child in monitor.supervisor.children.values()),
    }


def symbol_rows(market: MarketView, now_ns: int) -> tuple[SymbolRow, ...]:
    """Return a row for each symbol that is quoted or held."""
    return tuple(_symbol_row(market, symbol, now_ns) for symbol in sorted({*market.quotes, *market.positions}))


def _symbol_row(market: MarketView, symbol: Symbol, now_ns: int) -> SymbolRow:
    quote, position = market.quotes.get(symbol), market.positions.get(symbol)
    quantity = ZERO if position is None else position.quantity
    is_open = position is not None and quantity != ZERO
    unrealised: Decimal | None = None
    if is_open and position is not None and quote is not None and quote.is_two_sided:
        unrealised = (quote.mid - position.average_price) * quantity
    return SymbolRow(
        symbol=symbol,
        bid=None if quote is None else quote.bid_price,
        ask=None if quote is None else quote.ask_price,
        age_ms=None if quote is None else max(0.0, (now_ns - quote.received_at_ns) / NS_PER_MS),
        book_state=market.book_states.get(symbol, "unknown"),
        position=quantity,
        average_price=position.average_price if is_open and position is not None else None,
        unrealised=unrealised,
        working=ZERO if position is None else position.working_buy + position.working_sell,
    )


def _decision_rows(histories: Iterable[OrderHistory]) -> Iterable[DecisionRow]:
    for history in histories:
        if history.decision is not None:
            yield _decision_row(history.decision)


def _decision_row(decision: Decision) -> DecisionRow:
    reasons = "; ".join(f"{one.name} {one.observed}, limit {one.limit}" for one in decision.failed_checks)
    edge = edge_of(decision.intent.provenance.prediction)
    return DecisionRow(decision.inputs.now_ns, describe_intent(decision.intent), edge, decision.allowed, reasons)


def _order_rows(histories: Iterable[OrderHistory]) -> Iterable[OrderRow]:
    return (_order_row(history) for history in histories if history.events)


def _order_row(history: OrderHistory) -> OrderRow:
    sent = next((one.at_ns for one in history.events if isinstance(one.record, OrderSending)), None)
    done = history.events[-1].at_ns if history.state is not None and history.state.is_final else None
    external = f"{history.side} {history.symbol} (external)"
    return OrderRow(
        at_ns=history.events[0].at_ns,
        intent=external if history.intent is None else describe_intent(history.intent),
        state=(history.state or OrderState.RECEIVED).replace("_", " "),
        outcome=_filled_text(history),
        sent_ms=None if sent is None else history.since_tick_ms(sent),
        done_ms=None if done is None else history.since_tick_ms(done),
        client_order_id=history.client_order_id or history.order_id,
    )


def _filled_text(history: OrderHistory) -> str:
    price = history.average_price
    return "" if price is None else f"{format_decimal(history.filled_quantity)} at {format_decimal(round(price, 4))}"
