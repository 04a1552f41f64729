"""The view model shows what the run monitor and the bus hold at one moment."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace as changed

from components.contracts.market import BookState, Quote, SymbolHealth
from components.contracts.protocol import Header
from components.contracts.streams import MARKET, POSITIONS
from components.contracts.trading import Position, ProfitAndLoss, TradingStatus
from components.contracts.values import Symbol
from components.runtime.service import MessageReceived, StreamLost, StreamSynced
from components.xtrader.explain.history import RecentHistories
from components.xtrader.live_view.market_view import MarketView
from components.xtrader.live_view.view_model import build_view_model
from components.xtrader.supervisor.processes import PROCESSES
from components.xtrader.supervisor.supervisor import Supervisor
from components.xtrader.up.monitor import RunMonitor, RunStatistics
from tests.support.fake_bus import FakeBus
from tests.support.order_records import MS, decision, intent, order_events
from tests.support.sample_messages import AT_NS, HEADERS, MESSAGES, OFFSET
from tests.support.supervisor_fakes import FakeClock, FakeLauncher

HEADER: Header = HEADERS["Header of a message"]
SPY = Symbol("SPY")


def sample(kind: type) -> Any:
    return next(one for one in MESSAGES if isinstance(one, kind))


QUOTE = changed(sample(Quote), symbol=SPY, received_at_ns=AT_NS)
HELD = changed(sample(Position), symbol=SPY, quantity=Decimal(2), average_price=Decimal(187))
SYNCED = changed(sample(SymbolHealth), symbol=SPY, state=BookState.SYNCED)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def market(bus: FakeBus) -> MarketView:
    return MarketView(bus)


@pytest.fixture
def monitor() -> RunMonitor:
    supervisor = Supervisor(PROCESSES, FakeLauncher(), FakeClock(), lambda _: None)
    return RunMonitor("dev/sandbox", AT_NS, supervisor, RunStatistics(), RecentHistories())


def trade(monitor: RunMonitor) -> None:
    for sequence, event in enumerate(order_events()):
        monitor.statistics.count_order_event(event)
        monitor.histories.add_order_event(sequence, event)
    for sequence, one in enumerate((decision(), decision(intent("demo-abc-2"), allowed=False))):
        monitor.statistics.count_decision(one)
        monitor.histories.add_decision(sequence, one)


def test_prices_and_positions_are_shown_as_published(bus: FakeBus, market: MarketView, monitor: RunMonitor) -> None:
    bus.waiting = [
        StreamSynced(MARKET, "market_data", OFFSET, (QUOTE, SYNCED)),
        MessageReceived(POSITIONS, HEADER, HELD),
        MessageReceived(POSITIONS, HEADER, sample(ProfitAndLoss)),
        MessageReceived(POSITIONS, HEADER, sample(TradingStatus)),
    ]
    market.poll()
    model = build_view_model(monitor, market, AT_NS + 41 * MS)
    (symbol_row,) = model.symbols
    assert (symbol_row.bid, symbol_row.age_ms, symbol_row.book_state) == (Decimal("187.21"), 41.0, "synced")
    assert symbol_row.unrealised == Decimal("0.44")
    assert (model.realised, model.trading_state) == (Decimal("4.5"), "halted")


def test_values_of_a_lost_stream_are_unknown(bus: FakeBus, market: MarketView, monitor: RunMonitor) -> None:
    bus.waiting = [
        StreamSynced(MARKET, "market_data", OFFSET, (QUOTE, SYNCED)),
        MessageReceived(POSITIONS, HEADER, sample(ProfitAndLoss)),
    ]
    market.poll()
    bus.waiting = [StreamLost(MARKET, "market_data", 1, "gap"), StreamLost(POSITIONS, "risk", 1, "gap")]
    market.poll()
    model = build_view_model(monitor, market, AT_NS)
    assert model.symbols[0].book_state == "unknown"
    assert model.realised is None


def test_a_position_without_a_quote_has_no_unrealised_pnl(
    bus: FakeBus, market: MarketView, monitor: RunMonitor
) -> None:
    bus.waiting = [MessageReceived(POSITIONS, HEADER, HELD)]
    market.poll()
    assert build_view_model(monitor, market, AT_NS).symbols[0].unrealised is None


def test_decisions_show_their_reasons_and_orders_their_times(market: MarketView, monitor: RunMonitor) -> None:
    trade(monitor)
    model = build_view_model(monitor, market, AT_NS)
    refused, approved = model.decisions
    assert (approved.allowed, approved.edge) == (True, 0.5)
    assert refused.reason == "duplicate 400 ms ago, limit no repeat within 1000 ms"
    (order_row,) = model.orders
    assert (order_row.state, order_row.outcome) == ("filled", "1 at 559.98")
    assert (order_row.sent_ms, order_row.done_ms) == (3.0, 12.0)
    assert model.counts["approved"] == model.counts["refused"] == 1
