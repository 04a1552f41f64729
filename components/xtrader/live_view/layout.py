"""Lays the view model out for a terminal: (model, width, height) -> styled lines, without side effects."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from textwrap import wrap
from typing import Final, NamedTuple, TypeAlias

from components.contracts.trading import TradingState
from components.contracts.values import ZERO, format_decimal
from components.xtrader.formatting import format_duration, format_elapsed, format_time
from components.xtrader.live_view.view_model import ComponentRow, DecisionRow, OrderRow, SymbolRow, ViewModel

ELLIPSIS: Final = "…"
NO_VALUE: Final = "-"
EXPLANATION_LINES_MIN: Final = 16
"""With fewer free lines the explanation is left out in favour of the lists."""
SECTION_LINES_MIN: Final = 3
"""A blank line, a title and one row."""
LIST_LINES_MIN: Final = 5
"""A blank line, a title and enough rows to be useful."""
SYMBOL_WIDTH_MIN: Final = 7
SYMBOL_COLUMNS: Final = (
    f"{'bid':>10}{'ask':>10}{'age':>10}  {'book':<8}{'position':>9}{'average':>10}{'unrealised':>12}{'working':>9}"
)


class Style(StrEnum):
    """What a span of text means; the values are terminal codes."""

    PLAIN = "0"
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    WARNING = "33"
    BAD = "31"


class Span(NamedTuple):
    """Text in one style."""

    text: str
    style: Style = Style.PLAIN


StyledLine: TypeAlias = tuple[Span, ...]
EMPTY_LINE: Final[StyledLine] = ()
STATE_STYLES: Final = {
    TradingState.ACTIVE: Style.GOOD,
    TradingState.REDUCING: Style.WARNING,
    TradingState.HALTED: Style.BAD,
}


def styled_line(*spans: Span | str) -> StyledLine:
    """Return spans and plain strings as one line."""
    return tuple(Span(span) if isinstance(span, str) else span for span in spans)


def truncate(line: StyledLine, width: int) -> StyledLine:
    """Return what fits, ended by an ellipsis if cut.

    Unprintable characters, which could move the cursor, become blanks.
    """
    if sum(len(span.text) for span in line) <= width:
        return tuple(Span(_printable(span.text), span.style) for span in line)
    kept: list[Span] = []
    width_left = width - len(ELLIPSIS)
    for span in line:
        kept.append(Span(_printable(span.text[:width_left]), span.style))
        width_left -= len(kept[-1].text)
    return (*(span for span in kept if span.text), Span(ELLIPSIS[:width], Style.DIM))


def to_ansi(lines: Iterable[StyledLine], *, colour: bool) -> list[str]:
    """Return each line with the terminal codes of its styles."""
    return ["".join(_span_to_ansi(span, colour=colour) for span in line) for line in lines]


def _span_to_ansi(span: Span, *, colour: bool) -> str:
    return f"\x1b[{span.style}m{span.text}\x1b[0m" if colour and span.style is not Style.PLAIN else span.text


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


def render(model: ViewModel, width: int, height: int) -> list[StyledLine]:
    """Return the lines, the most important first; what does not fit is left out, never wrapped."""
    lines = [*_header(model)]
    if height - len(lines) >= EXPLANATION_LINES_MIN and model.explanation:
        lines += [EMPTY_LINE, *_explanation(model, width)]
    lines += _sections(model, height - len(lines))
    return [truncate(one, width) for one in lines[:height]]


def _header(model: ViewModel) -> Iterator[StyledLine]:
    state = model.trading_state
    state_span = Span("starting", Style.DIM) if state is None else Span(state.upper(), STATE_STYLES[state])
    causes = Span(f" ({', '.join(model.causes)})" if model.causes else "", Style.WARNING)
    running = f"  running {format_elapsed(model.running_s)}  {format_time(model.now_ns)} UTC"
    yield styled_line(
        Span(f"xtrader {model.title}  ", Style.BOLD), state_span, causes, running, Span("  Ctrl-C ends", Style.DIM)
    )
    yield tuple(span for row in model.components for span in _component(row))
    yield _counts(model)
    yield _profit_and_loss(model)


def _component(row: ComponentRow) -> Iterator[Span]:
    yield Span("● " if row.is_ready else "○ ", Style.GOOD if row.is_ready else Style.WARNING)
    yield Span(row.name)
    if row.restarts:
        yield Span(f" ↻{row.restarts}", Style.WARNING)
    if not row.is_ready and row.detail:
        yield Span(f" ({row.detail})", Style.WARNING)
    yield Span("  ")


def _counts(model: ViewModel) -> StyledLine:
    alarming = {"rejected", "unknown", "gaps", "restarts"}
    spans = []
    for name, count in model.counts.items():
        style = Style.BAD if count and name in alarming else Style.PLAIN
        spans += [Span(f"{name} ", Style.DIM), Span(f"{count}  ", style)]
    return tuple(spans)


def _profit_and_loss(model: ViewModel) -> StyledLine:
    quantiles = "  ".join(f"{name} {format_duration(value)}" for name, value in model.latency_ms.items()) or NO_VALUE
    return styled_line(
        Span("realised ", Style.DIM),
        _format_money(model.realised),
        Span("  unrealised ", Style.DIM),
        _format_money(model.unrealised),
        Span("  tick to order ", Style.DIM),
        quantiles,
    )


def _explanation(model: ViewModel, width: int) -> Iterator[StyledLine]:
    yield styled_line(Span("THE FIRST ORDER, EXPLAINED", Style.BOLD))
    for sentence in model.explanation:
        yield from (styled_line(one) for one in wrap(sentence, max(20, width - 1)))


def _sections(model: ViewModel, height: int) -> list[StyledLine]:
    """Prices take the lines they need, up to two thirds; as many lists as get enough rows share the rest."""
    width = 1 + max((len(one.symbol) for one in model.symbols), default=0)
    width = max(width, SYMBOL_WIDTH_MIN)
    head = f"{'PRICES':<{width}}{SYMBOL_COLUMNS}"
    lines = _section(head, [_symbol_line(one, width) for one in model.symbols], height * 2 // 3)
    lists: list[tuple[str, Sequence[StyledLine]]] = [
        ("SIGNALS AND DECISIONS", [_decision_line(one) for one in model.decisions]),
        ("ORDERS", [_order_line(one) for one in model.orders]),
        ("EVENTS", [styled_line(one) for one in reversed(model.events)]),
    ]
    shown = lists[: max(1, (height - len(lines)) // LIST_LINES_MIN)]
    for index, (title, rows) in enumerate(shown):
        lines += _section(title, rows, (height - len(lines)) // (len(shown) - index))
    return lines


def _section(title: str, rows: Sequence[StyledLine], height: int) -> list[StyledLine]:
    if height < SECTION_LINES_MIN:
        return []
    return [EMPTY_LINE, styled_line(Span(title, Style.BOLD)), *rows[: height - 2]]


def _symbol_line(row: SymbolRow, width: int) -> StyledLine:
    book_style = Style.GOOD if row.book_state == "synced" else Style.WARNING
    position = format_decimal(row.position) if row.position else NO_VALUE
    return styled_line(
        f"{row.symbol:<{width}}{_format_price(row.bid):>10}{_format_price(row.ask):>10}{_format_age(row.age_ms):>10}  ",
        Span(f"{row.book_state:<8}", book_style),
        f"{position:>9}{_format_price(row.average_price):>10}",
        _format_money(row.unrealised, width=12),
        f"{format_decimal(row.working) if row.working else NO_VALUE:>9}",
    )


def _decision_line(row: DecisionRow) -> StyledLine:
    edge = "" if row.edge is None else f" edge {row.edge:+.2f}"
    decision = Span("approved", Style.GOOD) if row.allowed else Span(f"refused: {row.reason}", Style.BAD)
    return styled_line(Span(f"{format_time(row.at_ns)}  ", Style.DIM), f"{row.intent:<33}", f"{edge:<12}", decision)


def _order_line(row: OrderRow) -> StyledLine:
    styles = {"filled": Style.GOOD, "rejected": Style.BAD, "unknown": Style.BAD}
    times = {"sent": row.sent_ms, "done": row.done_ms}
    after = ", ".join(f"{name} after {format_duration(ms)}" for name, ms in times.items() if ms is not None)
    return styled_line(
        Span(f"{format_time(row.at_ns)}  ", Style.DIM),
        f"{row.intent:<33} ",
        Span(f"{row.state:<12} ", styles.get(row.state, Style.PLAIN)),
        f"{row.outcome:<16} {after:<38}  ",
        Span(row.client_order_id, Style.DIM),
    )


def _format_money(amount: Decimal | None, width: int = 0) -> Span:
    if amount is None:
        return Span(f"{NO_VALUE:>{width}}")
    style = Style.PLAIN if amount == ZERO else Style.GOOD if amount > ZERO else Style.BAD
    return Span(f"{f'{amount:+.2f}':>{width}}", style)


def _format_price(price: Decimal | None) -> str:
    if price is None:
        return NO_VALUE
    # A price below one has no cents to round to: its digits are shown as far as they fit.
    return f"{price:.2f}" if price >= 1 else format_decimal(price)[:9]


def _format_age(age_ms: float | None) -> str:
    return NO_VALUE if age_ms is None else format_duration(age_ms)
