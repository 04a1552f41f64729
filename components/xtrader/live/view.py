"""Lays the board out for a terminal of this size: (board, width, height) -> lines, and nothing else."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from textwrap import wrap
from typing import Final

from components.contracts.trading import TradingState
from components.contracts.values import ZERO, canonical
from components.xtrader.explain.telling import clock_time, lasting, span
from components.xtrader.live.board import Board, Judgement, Light, Ticker, Ticket
from components.xtrader.live.paint import EMPTY, Line, Piece, Tone, cut, line

STATE_TONES: Final = {
    TradingState.ACTIVE: Tone.GOOD,
    TradingState.REDUCING: Tone.WARNING,
    TradingState.HALTED: Tone.BAD,
}
NOTHING: Final = "-"
ROOM_FOR_WORDS: Final = 16
"""Fewer free lines than this are left to the lists."""
SECTION_LEAST: Final = 3
LIST_LEAST: Final = 5
"""A gap, a title and rows that make it worth while."""


def view(board: Board, width: int, height: int) -> list[Line]:
    """Show the most important first; what does not fit is left out, never wrapped."""
    lines = [*_head(board)]
    if height - len(lines) >= ROOM_FOR_WORDS and board.explained:
        lines += [EMPTY, *_words(board, width)]
    lines += _sections(board, height - len(lines))
    return [cut(one, width) for one in lines[:height]]


def _head(board: Board) -> Iterator[Line]:
    state = board.trading
    word = Piece("starting", Tone.QUIET) if state is None else Piece(state.upper(), STATE_TONES[state])
    causes = Piece(f" ({', '.join(board.causes)})" if board.causes else "", Tone.WARNING)
    running = f"  running {lasting(board.running_s)}  {clock_time(board.now_ns)} UTC"
    yield line(
        Piece(f"xtrader {board.title}  ", Tone.STRONG), word, causes, running, Piece("  Ctrl-C ends", Tone.QUIET)
    )
    yield tuple(piece for light in board.lights for piece in _light(light))
    yield _counts(board)
    yield _result(board)


def _light(light: Light) -> Iterator[Piece]:
    yield Piece("● " if light.is_ready else "○ ", Tone.GOOD if light.is_ready else Tone.WARNING)
    yield Piece(light.name)
    if light.restarts:
        yield Piece(f" ↻{light.restarts}", Tone.WARNING)
    if not light.is_ready and light.detail:
        yield Piece(f" ({light.detail})", Tone.WARNING)
    yield Piece("  ")


def _counts(board: Board) -> Line:
    troubles = {"rejected", "unknown", "gaps", "restarts"}
    pieces = []
    for name, count in board.counts.items():
        tone = Tone.BAD if count and name in troubles else Tone.PLAIN
        pieces += [Piece(f"{name} ", Tone.QUIET), Piece(f"{count}  ", tone)]
    return tuple(pieces)


def _result(board: Board) -> Line:
    quantiles = "  ".join(f"{name} {span(value)}" for name, value in board.latency_ms.items()) or NOTHING
    return line(
        Piece("realised ", Tone.QUIET),
        _money(board.realised),
        Piece("  unrealised ", Tone.QUIET),
        _money(board.unrealised),
        Piece("  tick to order ", Tone.QUIET),
        quantiles,
    )


def _words(board: Board, width: int) -> Iterator[Line]:
    yield line(Piece("THE FIRST ORDER, EXPLAINED", Tone.STRONG))
    for sentence in board.explained:
        yield from (line(one) for one in wrap(sentence, max(20, width - 1)))


def _sections(board: Board, room: int) -> list[Line]:
    """Prices take what they need, up to two thirds; of the lists as many share the rest as get some rows each."""
    width = 1 + max((len(one.symbol) for one in board.tickers), default=0)
    width = max(width, SYMBOL_LEAST)
    head = f"{'PRICES':<{width}}{_TICKER_HEAD}"
    lines = _section(head, [_ticker(one, width) for one in board.tickers], room * 2 // 3)
    lists: list[tuple[str, Sequence[Line]]] = [
        ("SIGNALS AND VERDICTS", [_judgement(one) for one in board.judgements]),
        ("ORDERS", [_ticket(one) for one in board.tickets]),
        ("EVENTS", [line(one) for one in reversed(board.happenings)]),
    ]
    shown = lists[: max(1, (room - len(lines)) // LIST_LEAST)]
    for index, (title, rows) in enumerate(shown):
        lines += _section(title, rows, (room - len(lines)) // (len(shown) - index))
    return lines


def _section(title: str, rows: Sequence[Line], room: int) -> list[Line]:
    if room < SECTION_LEAST:
        return []
    return [EMPTY, line(Piece(title, Tone.STRONG)), *rows[: room - 2]]


SYMBOL_LEAST: Final = 7
_TICKER_HEAD: Final = (
    f"{'bid':>10}{'asked':>10}{'age':>10}  {'trust':<8}{'held':>6}{'average':>10}{'unrealised':>12}{'working':>9}"
)


def _ticker(one: Ticker, width: int) -> Line:
    trusted = Tone.GOOD if one.trust == "synced" else Tone.WARNING
    held = canonical(one.held) if one.held else NOTHING
    return line(
        f"{one.symbol:<{width}}{_number(one.bid):>10}{_number(one.ask):>10}{_age(one.age_ms):>10}  ",
        Piece(f"{one.trust:<8}", trusted),
        f"{held:>6}{_number(one.average_price):>10}",
        _money(one.unrealised, width=12),
        f"{canonical(one.working) if one.working else NOTHING:>9}",
    )


def _judgement(one: Judgement) -> Line:
    edge = "" if one.edge is None else f" edge {one.edge:+.2f}"
    verdict = Piece("approved", Tone.GOOD) if one.allowed else Piece(f"refused: {one.reason}", Tone.BAD)
    return line(Piece(f"{clock_time(one.at_ns)}  ", Tone.QUIET), f"{one.wish:<33}", f"{edge:<12}", verdict)


def _ticket(one: Ticket) -> Line:
    tones = {"filled": Tone.GOOD, "rejected": Tone.BAD, "unknown": Tone.BAD}
    times = {"sent": one.sent_ms, "done": one.done_ms}
    after = ", ".join(f"{name} after {span(ms)}" for name, ms in times.items() if ms is not None)
    return line(
        Piece(f"{clock_time(one.at_ns)}  ", Tone.QUIET),
        f"{one.wish:<33} ",
        Piece(f"{one.state:<12} ", tones.get(one.state, Tone.PLAIN)),
        f"{one.outcome:<16} {after:<38}  ",
        Piece(one.name, Tone.QUIET),
    )


def _money(amount: Decimal | None, width: int = 0) -> Piece:
    if amount is None:
        return Piece(f"{NOTHING:>{width}}")
    tone = Tone.PLAIN if amount == ZERO else Tone.GOOD if amount > ZERO else Tone.BAD
    return Piece(f"{f'{amount:+.2f}':>{width}}", tone)


def _number(price: Decimal | None) -> str:
    if price is None:
        return NOTHING
    # Below one there are no cents to round to: what is there is shown, as far as it fits.
    return f"{price:.2f}" if price >= 1 else canonical(price)[:9]


def _age(age_ms: float | None) -> str:
    return NOTHING if age_ms is None else span(age_ms)
