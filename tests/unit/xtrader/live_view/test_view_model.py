"""What `up` has seen becomes a board, and the board becomes words, lines and a summary."""

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
from components.xtrader.up.console import PlainOutput, format_summary
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
def ear(bus: FakeBus) -> MarketView:
    return MarketView(bus)


@pytest.fixture
def seen() -> RunMonitor:
    crew = Supervisor(PROCESSES, FakeLauncher(), FakeClock(), lambda _: None)
    return RunMonitor("dev/sandbox", AT_NS, crew, RunStatistics(), RecentHistories())


def trade(seen: RunMonitor) -> None:
    for sequence, event in enumerate(order_events()):
        seen.statistics.count_order_event(event)
        seen.histories.add_order_event(sequence, event)
    for sequence, one in enumerate((decision(), decision(intent("demo-abc-2"), allowed=False))):
        seen.statistics.count_decision(one)
        seen.histories.add_decision(sequence, one)


def test_prices_and_positions_are_shown_as_the_bus_says_them(bus: FakeBus, ear: MarketView, seen: RunMonitor) -> None:
    bus.waiting = [
        StreamSynced(MARKET, "market_data", OFFSET, (QUOTE, SYNCED)),
        MessageReceived(POSITIONS, HEADER, HELD),
        MessageReceived(POSITIONS, HEADER, sample(ProfitAndLoss)),
        MessageReceived(POSITIONS, HEADER, sample(TradingStatus)),
    ]
    ear.poll()
    board = build_view_model(seen, ear, AT_NS + 41 * MS)
    (ticker,) = board.symbols
    assert (ticker.bid, ticker.age_ms, ticker.book_state) == (Decimal("187.21"), 41.0, "synced")
    assert ticker.unrealised == Decimal("0.44")
    assert (board.realised, board.trading_state) == (Decimal("4.5"), "halted")


def test_a_lost_stream_is_not_known(bus: FakeBus, ear: MarketView, seen: RunMonitor) -> None:
    bus.waiting = [
        StreamSynced(MARKET, "market_data", OFFSET, (QUOTE, SYNCED)),
        MessageReceived(POSITIONS, HEADER, sample(ProfitAndLoss)),
    ]
    ear.poll()
    bus.waiting = [StreamLost(MARKET, "market_data", 1, "gap"), StreamLost(POSITIONS, "risk", 1, "gap")]
    ear.poll()
    board = build_view_model(seen, ear, AT_NS)
    assert board.symbols[0].book_state == "unheard"
    assert board.realised is None


def test_a_position_without_a_quote_has_no_result(bus: FakeBus, ear: MarketView, seen: RunMonitor) -> None:
    bus.waiting = [MessageReceived(POSITIONS, HEADER, HELD)]
    ear.poll()
    assert build_view_model(seen, ear, AT_NS).symbols[0].unrealised is None


def test_verdicts_carry_their_reasons_and_orders_their_times(ear: MarketView, seen: RunMonitor) -> None:
    trade(seen)
    board = build_view_model(seen, ear, AT_NS)
    refused, approved = board.decisions
    assert (approved.allowed, approved.edge) == (True, 0.5)
    assert refused.reason == "duplicate 400 ms ago, allowed no repeat within 1000 ms"
    (ticket,) = board.orders
    assert (ticket.state, ticket.outcome) == ("filled", "1 at 559.98")
    assert (ticket.sent_ms, ticket.done_ms) == (3.0, 12.0)
    assert board.counts["approved"] == board.counts["refused"] == 1


def test_the_first_fill_is_explained_once(seen: RunMonitor, capsys: pytest.CaptureFixture[str]) -> None:
    lines = PlainOutput(lambda _: "demo version 1", to_errors=False)
    lines.update(seen, 0)
    assert capsys.readouterr().out == ""
    trade(seen)
    lines.update(seen, 1)
    first, quoted, *_ = capsys.readouterr().out.splitlines()
    assert first == "first fill after 0.0 s (demo-abc-1-0-1):"
    assert quoted.startswith("  SPY stood at 559.95 bid")
    lines.update(seen, 2)
    assert capsys.readouterr().out == ""


def test_how_things_are_is_said_every_few_seconds_once_all_is_ready(
    seen: RunMonitor, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = PlainOutput(lambda _: None, to_errors=True)
    seen.ready_at_ns = 1
    for now_ns in (0, 1, 5_000_000_000):
        lines.update(seen, now_ns)
    said = capsys.readouterr().err.splitlines()
    assert said == ["orders: 0 submitted, 0 filled, 0 rejected, 0 unknown; fills: 0; 0 approved; gaps: 0"] * 2


RESULT: dict[str, Any] = {
    "ok": True,
    "problem": None,
    "orders": {"submitted": 2, "filled": 1},
    "fills": 1,
    "verdicts": {"approved": 2, "refused": {"duplicate": 3}},
    "positions": {"SPY": "2"},
    "profit_and_loss": {"realised": Decimal("1.5"), "unrealised": Decimal("-0.25")},
    "latency_us": {"tick_to_order": {"p50": 4_500.0, "p99": 9_100.0}},
    "bus": {"gaps": 0},
    "restarts": {"risk": 1},
}


def test_the_summary_says_how_it_went() -> None:
    assert format_summary(RESULT).splitlines() == [
        "ok",
        "orders:    2 submitted, 1 filled; fills: 1",
        "verdicts:  2 approved; refused: 3 duplicate",
        "positions: 2 SPY",
        "result:    realised +1.50 dollars, unrealised -0.25 dollars",
        "latency:   tick to order p50 4.5 ms, p99 9.1 ms",
        "bus:       gaps: 0; restarts: 1 risk",
    ]


def test_the_summary_of_a_run_that_never_began_is_honest() -> None:
    nothing: dict[str, Any] = {
        **RESULT,
        "ok": False,
        "problem": "stopped before everything was ready",
        "positions": {},
        "profit_and_loss": {"realised": None, "unrealised": None},
        "latency_us": {"tick_to_order": {}},
    }
    text = format_summary(nothing)
    assert text.startswith("not ok: stopped before everything was ready\n")
    assert "result:    not known" in text
    assert "latency:   no order was measured" in text
