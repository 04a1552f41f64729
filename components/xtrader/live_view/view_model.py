"""Everything the live view shows, at one moment."""

from dataclasses import dataclass, field
from decimal import Decimal

from components.contracts.trading import TradingState


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """One component: ready or not, and what it waits for."""

    name: str
    is_ready: bool
    detail: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class SymbolRow:
    """One symbol: its price, how far it can be trusted, and what is held of it."""

    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    age_ms: float | None = None
    book_state: str = "unheard"
    position: Decimal = Decimal(0)
    average_price: Decimal | None = None
    unrealised: Decimal | None = None
    working: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A signal and what risk said to it."""

    at_ns: int
    intent: str
    edge: float | None
    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order and where it is."""

    at_ns: int
    intent: str
    state: str
    outcome: str
    sent_ms: float | None
    done_ms: float | None
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewModel:
    """The whole of it."""

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
    """Newest last; the lists above begin with the newest."""
