"""The live view fits every terminal, shows the most important first, and never lets a text move the cursor."""

from dataclasses import replace
from decimal import Decimal

import pytest

from components.contracts.trading import TradingState
from components.xtrader.live_view.layout import Span, Style, StyledLine, render, styled_line, to_ansi, truncate
from components.xtrader.live_view.view_model import ComponentRow, DecisionRow, OrderRow, SymbolRow, ViewModel
from tests.support.sample_messages import AT_NS

SYMBOLS = ("AAPL", "MSFT", "NVDA", "SPY", "TSLA")
FULL = ViewModel(
    title="dev/sandbox",
    now_ns=AT_NS,
    running_s=83.0,
    trading_state=TradingState.REDUCING,
    causes=("data_stale",),
    components=(
        ComponentRow("sandbox", is_ready=True),
        ComponentRow("risk", is_ready=False, detail="prices", restarts=2),
    ),
    counts={"approved": 12, "refused": 3, "gaps": 1},
    realised=Decimal("1.5"),
    unrealised=Decimal("-0.25"),
    latency_ms={"p50": 4.5, "p99": 9.1},
    symbols=tuple(
        SymbolRow(
            name, Decimal("559.95"), Decimal("559.98"), 41.0, "synced", Decimal(2), Decimal("559.9"), Decimal("0.13")
        )
        for name in SYMBOLS
    ),
    decisions=tuple(
        DecisionRow(AT_NS, f"buy {number} SPY at 560 or better", 0.31, number % 2 == 0, "duplicate 0.4 s, allowed 1 s")
        for number in range(40)
    ),
    orders=tuple(
        OrderRow(AT_NS, f"buy {number} SPY at 560", "filled", "1 at 559.98", 3.0, 12.0, "demo-abc-1-0-1")
        for number in range(40)
    ),
    explanation=("SPY stood at 559.95 bid. " * 6, "Risk ran all 17 checks."),
    events=tuple(f"22:13:{number:02d}  risk is ready" for number in range(40)),
)


def plain_text(line: StyledLine) -> str:
    return "".join(span.text for span in line)


def shown(model: ViewModel, width: int, height: int) -> list[str]:
    return [plain_text(one) for one in render(model, width, height)]


@pytest.mark.parametrize("width", [20, 60, 80, 132, 300])
@pytest.mark.parametrize("height", [2, 5, 10, 24, 50, 120])
def test_the_view_fits_the_terminal(width: int, height: int) -> None:
    for model in (FULL, ViewModel(title="dev/sandbox", now_ns=AT_NS, running_s=0.0)):
        lines = shown(model, width, height)
        assert len(lines) <= height
        assert all(len(one) <= width for one in lines)


def test_a_tall_terminal_shows_everything() -> None:
    text = "\n".join(shown(FULL, 132, 60))
    for part in (
        "REDUCING (data_stale)",
        "running 1:23",
        "○ risk ↻2 (prices)",
        "approved 12  refused 3  gaps 1",
        "realised +1.50  unrealised -0.25  tick to order p50 4.5 ms  p99 9.1 ms",
        "THE FIRST ORDER, EXPLAINED",
        "SPY        559.95    559.98",
        "refused: duplicate 0.4 s, allowed 1 s",
        "sent after 3.0 ms, done after 12.0 ms",
        "EVENTS",
    ):
        assert part in text


def test_a_low_terminal_keeps_prices_and_leaves_events_out() -> None:
    lines = shown(replace(FULL, explanation=()), 80, 18)
    assert all(any(one.startswith(name) for one in lines) for name in SYMBOLS)
    assert "SIGNALS AND DECISIONS" in lines
    assert "EVENTS" not in lines


def test_the_newest_event_is_first() -> None:
    lines = shown(FULL, 132, 60)
    assert lines[lines.index("EVENTS") + 1].startswith("22:13:39")


def test_without_data_the_view_shows_starting() -> None:
    assert "starting" in shown(ViewModel(title="dev/sandbox", now_ns=AT_NS, running_s=0.0), 80, 24)[0]


def test_a_text_cannot_move_the_cursor() -> None:
    hostile = styled_line("\x1b[2J\r\nrisk", Span("\x07", Style.BAD))
    assert plain_text(truncate(hostile, 80)) == " [2J  risk "


def test_truncated_text_ends_with_an_ellipsis() -> None:
    assert plain_text(truncate(styled_line("market", Span("data")), 8)) == "marketd…"
    assert plain_text(truncate(styled_line("market"), 6)) == "market"


def test_colours_can_be_left_out() -> None:
    pieces = [styled_line(Span("halted", Style.BAD))]
    assert to_ansi(pieces, colour=True) == ["\x1b[31mhalted\x1b[0m"]
    assert to_ansi(pieces, colour=False) == ["halted"]


def test_a_long_name_moves_the_columns_and_a_small_price_keeps_its_digits() -> None:
    name = "BINANCEUM:1000SHIB-USDT-PERP"
    small = SymbolRow(name, Decimal("0.009099"), Decimal("0.0091"), 41.0, "synced")
    lines = shown(replace(FULL, symbols=(*FULL.symbols, small)), 120, 60)
    (row,) = [line for line in lines if name in line]
    (head,) = [line for line in lines if line.startswith("PRICES")]
    assert row.split()[:3] == [name, "0.009099", "0.0091"]
    assert head.index("bid") + len("bid") == row.index("0.009099") + len("0.009099")
