"""Pieces of text with a tone, cut to the width of a terminal.

Lays the board out for a terminal of this size: (board, width, height) -> lines, and nothing else.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import StrEnum
from textwrap import wrap
from typing import Final, NamedTuple, TypeAlias

from components.contracts.trading import TradingState
from components.contracts.values import ZERO, format_decimal
from components.xtrader.formatting import format_duration, format_elapsed, format_time
from components.xtrader.live_view.view_model import ComponentRow, DecisionRow, OrderRow, SymbolRow, ViewModel


class Style(StrEnum):
    """What a piece of text means; each has its code for a terminal."""

    PLAIN = "0"
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    WARNING = "33"
    BAD = "31"


class Span(NamedTuple):
    """Some text in one tone."""

    text: str
    style: Style = Style.PLAIN


StyledLine: TypeAlias = tuple[Span, ...]


ELLIPSIS: Final = "…"


EMPTY_LINE: Final[StyledLine] = ()


def styled_line(*spans: Span | str) -> StyledLine:
    """Put pieces and plain texts into one line."""
    return tuple(Span(piece) if isinstance(piece, str) else piece for piece in spans)


def truncate(line: StyledLine, width: int) -> StyledLine:
    """Keep what fits; what does not ends with an ellipsis, and nothing in it can move the cursor."""
    if sum(len(piece.text) for piece in line) <= width:
        return tuple(Span(_printable(piece.text), piece.style) for piece in line)
    kept: list[Span] = []
    room = width - len(ELLIPSIS)
    for piece in line:
        kept.append(Span(_printable(piece.text[:room]), piece.style))
        room -= len(kept[-1].text)
    return (*(piece for piece in kept if piece.text), Span(ELLIPSIS[:width], Style.DIM))


def plain_text(line: StyledLine) -> str:
    """Give the bare text."""
    return "".join(piece.text for piece in line)


def to_ansi(lines: Iterable[StyledLine], *, colour: bool) -> list[str]:
    """Write each line with the codes of its tones."""
    return ["".join(_span_to_ansi(piece, colour=colour) for piece in one) for one in lines]


def _span_to_ansi(span: Span, *, colour: bool) -> str:
    return f"\x1b[{span.style}m{span.text}\x1b[0m" if colour and span.style is not Style.PLAIN else span.text


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)


STATE_STYLES: Final = {
    TradingState.ACTIVE: Style.GOOD,
    TradingState.REDUCING: Style.WARNING,
    TradingState.HALTED: Style.BAD,
}


NO_VALUE: Final = "-"


EXPLANATION_LINES_MIN: Final = 16
"""Fewer free lines than this are left to the lists."""


SECTION_LINES_MIN: Final = 3


LIST_LINES_MIN: Final = 5
"""A gap, a title and rows that make it worth while."""


def render(model: ViewModel, width: int, height: int) -> list[StyledLine]:
    """Show the most important first; what does not fit is left out, never wrapped."""
    lines = [*_header(model)]
    if height - len(lines) >= EXPLANATION_LINES_MIN and model.explanation:
        lines += [EMPTY_LINE, *_explanation(model, width)]
    lines += _sections(model, height - len(lines))
    return [truncate(one, width) for one in lines[:height]]


def _header(model: ViewModel) -> Iterator[StyledLine]:
    state = model.trading_state
    word = Span("starting", Style.DIM) if state is None else Span(state.upper(), STATE_STYLES[state])
    causes = Span(f" ({', '.join(model.causes)})" if model.causes else "", Style.WARNING)
    running = f"  running {format_elapsed(model.running_s)}  {format_time(model.now_ns)} UTC"
    yield styled_line(
        Span(f"xtrader {model.title}  ", Style.BOLD), word, causes, running, Span("  Ctrl-C ends", Style.DIM)
    )
    yield tuple(piece for light in model.components for piece in _component(light))
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
    troubles = {"rejected", "unknown", "gaps", "restarts"}
    pieces = []
    for name, count in model.counts.items():
        tone = Style.BAD if count and name in troubles else Style.PLAIN
        pieces += [Span(f"{name} ", Style.DIM), Span(f"{count}  ", tone)]
    return tuple(pieces)


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
    """Prices take what they need, up to two thirds; of the lists as many share the rest as get some rows each."""
    width = 1 + max((len(one.symbol) for one in model.symbols), default=0)
    width = max(width, SYMBOL_WIDTH_MIN)
    head = f"{'PRICES':<{width}}{_SYMBOL_COLUMNS}"
    lines = _section(head, [_symbol_line(one, width) for one in model.symbols], height * 2 // 3)
    lists: list[tuple[str, Sequence[StyledLine]]] = [
        ("SIGNALS AND VERDICTS", [_decision_line(one) for one in model.decisions]),
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


SYMBOL_WIDTH_MIN: Final = 7


_SYMBOL_COLUMNS: Final = (
    f"{'bid':>10}{'asked':>10}{'age':>10}  {'trust':<8}{'held':>6}{'average':>10}{'unrealised':>12}{'working':>9}"
)


def _symbol_line(row: SymbolRow, width: int) -> StyledLine:
    trusted = Style.GOOD if row.book_state == "synced" else Style.WARNING
    held = format_decimal(row.position) if row.position else NO_VALUE
    return styled_line(
        f"{row.symbol:<{width}}{_format_price(row.bid):>10}{_format_price(row.ask):>10}{_format_age(row.age_ms):>10}  ",
        Span(f"{row.book_state:<8}", trusted),
        f"{held:>6}{_format_price(row.average_price):>10}",
        _format_money(row.unrealised, width=12),
        f"{format_decimal(row.working) if row.working else NO_VALUE:>9}",
    )


def _decision_line(row: DecisionRow) -> StyledLine:
    edge = "" if row.edge is None else f" edge {row.edge:+.2f}"
    verdict = Span("approved", Style.GOOD) if row.allowed else Span(f"refused: {row.reason}", Style.BAD)
    return styled_line(Span(f"{format_time(row.at_ns)}  ", Style.DIM), f"{row.intent:<33}", f"{edge:<12}", verdict)


def _order_line(row: OrderRow) -> StyledLine:
    tones = {"filled": Style.GOOD, "rejected": Style.BAD, "unknown": Style.BAD}
    times = {"sent": row.sent_ms, "done": row.done_ms}
    after = ", ".join(f"{name} after {format_duration(ms)}" for name, ms in times.items() if ms is not None)
    return styled_line(
        Span(f"{format_time(row.at_ns)}  ", Style.DIM),
        f"{row.intent:<33} ",
        Span(f"{row.state:<12} ", tones.get(row.state, Style.PLAIN)),
        f"{row.outcome:<16} {after:<38}  ",
        Span(row.client_order_id, Style.DIM),
    )


def _format_money(amount: Decimal | None, width: int = 0) -> Span:
    if amount is None:
        return Span(f"{NO_VALUE:>{width}}")
    tone = Style.PLAIN if amount == ZERO else Style.GOOD if amount > ZERO else Style.BAD
    return Span(f"{f'{amount:+.2f}':>{width}}", tone)


def _format_price(price: Decimal | None) -> str:
    if price is None:
        return NO_VALUE
    # Below one there are no cents to round to: what is there is shown, as far as it fits.
    return f"{price:.2f}" if price >= 1 else format_decimal(price)[:9]


def _format_age(age_ms: float | None) -> str:
    return NO_VALUE if age_ms is None else format_duration(age_ms)
