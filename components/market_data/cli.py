"""The commands of market_data: run it, show what it publishes, inspect books, record and replay."""

from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import click

from components.contracts.errors import UsageError
from components.runtime.cli import json_option, print_result

RECORDINGS = "recordings"
SUMMARY = "stream_summary"


@click.group(help="Venue feeds: quotes, trades and order books, each with its health.")
def cli() -> None:
    """Group the commands."""


@cli.command()
def run() -> None:
    """Serve until SIGTERM."""
    from components.market_data.wiring import market_data
    from components.runtime.process.process import run_process

    with run_process("market_data") as process:
        market_data(process)


@cli.command()
@click.option("--symbol", help="Only messages about this symbol.")
@click.option("--stream", type=click.Choice(["market", "books"]), default="market", show_default=True)
@click.option("--count", type=click.IntRange(min=1), help="Stop after this many messages.")
@json_option
def tail(symbol: str | None, stream: str, count: int | None, *, as_json: bool) -> None:
    """Print the messages that a running market_data publishes."""
    from components.contracts.streams import STREAMS
    from components.market_data.commands.live import follow_messages
    from components.market_data.commands.output import format_fields, message_fields

    for sequence, body in islice(follow_messages(STREAMS[stream], symbol), count):
        fields = {"sequence": sequence, **message_fields(body)}
        print_result(fields, as_json=as_json, text=format_fields(fields))


@cli.command()
@click.argument("symbol")
@json_option
def quote(symbol: str, *, as_json: bool) -> int:
    """Show the last quote of a symbol.

    Prints its health too. Exit code 1 if there is no quote.
    """
    from components.contracts.market import Quote, SymbolHealth
    from components.contracts.streams import MARKET
    from components.market_data.commands.live import current_state
    from components.market_data.commands.output import format_fields, message_fields

    messages = [body for body in current_state(MARKET) if getattr(body, "symbol", None) == symbol.upper()]
    fields = {
        "quote": next((message_fields(body) for body in messages if isinstance(body, Quote)), None),
        "health": next((message_fields(body) for body in messages if isinstance(body, SymbolHealth)), None),
    }
    print_result(
        fields,
        as_json=as_json,
        text="\n".join(f"{name:<8}{value and format_fields(value)}" for name, value in fields.items()),
    )
    return 0 if fields["quote"] else 1


@cli.command()
@click.argument("symbol")
@click.option("--levels", type=click.IntRange(1, 5_000), default=10, show_default=True, help="Levels per side.")
@click.option("--watch", is_flag=True, help="Print the book again after each change, until Ctrl-C.")
@click.option("--count", type=click.IntRange(min=1), help="With --watch: stop after printing the book this many times.")
@json_option
def book(symbol: str, levels: int, count: int | None, *, watch: bool, as_json: bool) -> int:
    """Show the published book of a symbol.

    Exit code 1 if the book is not in sync.
    """
    from components.contracts.market import BookState
    from components.contracts.streams import BOOKS
    from components.contracts.values import Symbol
    from components.market_data.commands.live import replicate, subscribe
    from components.market_data.commands.output import book_fields, format_ladder

    replica = None
    for replica in islice(replicate(Symbol(symbol.upper()), subscribe(BOOKS)), count if watch else 1):
        print_result(book_fields(replica, levels), as_json=as_json, text=format_ladder(replica, levels))
    return 0 if replica is not None and replica.state is BookState.SYNCED else 1


@cli.command()
@click.option("--venue", "venues", multiple=True, help="Only this venue, for example BINANCE; may be repeated.")
@click.option("--matching", default="", help="Only instruments whose unified or venue symbol contains this text.")
@json_option
def instruments(venues: tuple[str, ...], matching: str, *, as_json: bool) -> int:
    """List the instruments of the crypto venues.

    Prints symbols, contract multipliers, tick and lot sizes. Without --venue the venues that have symbols in the
    configuration are queried. Exit code 1 if no instrument is found.
    """
    from components.market_data.commands.output import format_fields
    from components.market_data.commands.venues import instrument_row, list_instruments, venues_to_query

    tables, resolve_secret = venues_to_query(venues)
    rows = [instrument_row(one) for one in list_instruments(tables, resolve_secret, matching)]
    for fields in rows:
        print_result(fields, as_json=as_json, text=format_fields(fields))
    return 0 if rows else 1


@cli.command()
@json_option
def state(*, as_json: bool) -> int:
    """Show the feeds and the last quote of each symbol.

    Each quote is printed with its age and the state of its symbol. Exit code 1 if a symbol is not in sync.
    """
    from components.contracts.market import BookState, FeedHealth, Quote, SymbolHealth
    from components.contracts.streams import MARKET
    from components.market_data.commands.live import current_state
    from components.runtime.clock import SystemClock

    messages, now_ns = current_state(MARKET), SystemClock().now_ns()
    states = {body.symbol: body.state for body in messages if isinstance(body, SymbolHealth)}
    feeds = [body for body in messages if isinstance(body, FeedHealth)]
    rows = [
        {
            "symbol": body.symbol,
            "bid": body.bid_price,
            "ask": body.ask_price,
            "age_ms": round((now_ns - body.received_at_ns) / 1e6, 1),
            "state": states.get(body.symbol),
        }
        for body in messages
        if isinstance(body, Quote)
    ]
    text = [f"feed {feed.venue}: {feed.state}, {feed.reason}" for feed in feeds]
    quoted = {row["symbol"] for row in rows}
    width = max((len(symbol) for symbol in states), default=0)
    line = f"{{symbol:<{width}}} {{bid:>14}} {{ask:>14}} {{age_ms:>9}} ms  {{state}}"
    text += [line.format_map(row) for row in rows]
    text += [f"{symbol:<{width}} {'no quote':>42}  {state}" for symbol, state in states.items() if symbol not in quoted]
    fields = {"feeds": {feed.venue: feed.state for feed in feeds}, "symbols": rows, "states": states}
    print_result(fields, as_json=as_json, text="\n".join(text))
    return 0 if states and all(one is BookState.SYNCED for one in states.values()) else 1


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def verify(files: tuple[Path, ...], *, as_json: bool) -> int:
    """Check recordings against their venues' rules.

    A book passes if it is in sync to its end, without a gap, a crossed state or an undecodable message. Prints one line
    per book. Consecutive files of one recording are read as one. Exit code 1 if a book fails or a recording has none.
    """
    from components.market_data.commands.output import format_fields, struct_fields
    from components.market_data.core.recording import group_consecutive
    from components.market_data.venues.recording.reader import Recording, open_recording
    from components.market_data.venues.recording.verify import verify as check

    proven = []
    for paths in group_consecutive(files):
        recording = Recording(paths)
        books = check(recording, open_recording(recording))
        for book in books:
            report = book.report()
            print_result(
                report,
                as_json=as_json,
                text=f"{'good' if book.is_verified else 'BAD ':<4} {format_fields(struct_fields(report))}",
            )
        if not books:
            click.echo(f"error: {recording.name}: this recording contains no order book", err=True)
        proven += [book.is_verified for book in books] or [False]
    return 0 if all(proven) else 1


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--speed", type=click.FloatRange(min=0), default=0, show_default=True, help="1: real time; 0: as fast as possible."
)
@click.option("--digest", is_flag=True, help="Print only the number and the SHA-256 of the messages.")
@click.option("--serve", is_flag=True, help="Publish on the bus in place of a live market_data, until SIGTERM.")
@json_option
def replay(files: tuple[Path, ...], *, speed: float, digest: bool, serve: bool, as_json: bool) -> None:
    """Replay a recording and print its messages.

    FILES are the files of one recording, in order. The messages are those that a live process would have published.

    With --serve the messages are published on the bus instead. The quotes keep their recorded times, so risk rejects
    orders that are based on them.
    """
    if serve and digest:
        raise UsageError("--digest cannot be combined with --serve, which runs until SIGTERM and prints nothing")
    if serve:
        _serve_recording(files, speed)
    else:
        _show_recording(files, speed, digest=digest, as_json=as_json)


def _serve_recording(files: tuple[Path, ...], speed: float) -> None:
    from components.market_data.venues.recording.reader import Recording
    from components.runtime.process.process import run_process

    recording = Recording(files)
    with run_process("market_data") as process:
        from components.market_data.wiring import serve_recording

        serve_recording(process, recording, speed)


def _show_recording(files: tuple[Path, ...], speed: float, *, digest: bool, as_json: bool) -> None:
    from components.market_data.commands.output import format_fields, message_fields
    from components.market_data.venues.recording.reader import Recording
    from components.market_data.wiring import replay_messages
    from components.runtime.bus.codec import encode
    from components.runtime.logs import logger
    from components.runtime.service import Publish

    recording, count, published = Recording(files), 0, sha256()
    for effect in replay_messages(recording, speed):
        if not isinstance(effect, Publish):
            if effect.event == SUMMARY:
                logger().info(effect.event, **effect.fields)
        elif digest:
            count += 1
            published.update(f"{effect.stream.name} ".encode() + encode(effect.body) + b"\n")
        else:
            fields = {"stream": effect.stream.name, **message_fields(effect.body)}
            print_result(fields, as_json=as_json, text=format_fields(fields))
    if digest:
        print_result({"messages": count, "sha256": published.hexdigest()}, as_json=as_json)


@cli.command()
@click.option("--venue", "venues", multiple=True, help="Only this venue, for example BINANCE; may be repeated.")
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    help="Instead of the configured symbols, for example OKX:BTC-USDT; may be repeated.",
)
@click.option(
    "--for", "for_s", type=click.FloatRange(min=0), help="Stop after this many seconds; otherwise on SIGTERM."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Output directory; by default `recordings` in the state directory.",
)
@click.option(
    "--file-mib",
    type=click.FloatRange(min=0.001),
    default=128,
    show_default=True,
    help="Start a new file at this size.",
)
@click.option(
    "--file-minutes",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Start a new file after this time.",
)
@json_option
def record(
    venues: tuple[str, ...],
    symbols: tuple[str, ...],
    folder: Path | None,
    *,
    as_json: bool,
    **bounds: Any,  # noqa: ANN401  # numbers that click has validated
) -> int:
    """Record the raw frames of live venues into files.

    Nothing is published. Exit code 1 if frames were dropped or none was received.
    """
    from components.market_data.commands.output import format_fields, struct_fields
    from components.market_data.commands.venues import venues_to_record
    from components.market_data.venues.recording.capture import Recorder, RecorderLimits
    from components.market_data.wiring import capture_session
    from components.runtime.logs import logger
    from components.runtime.process.shutdown import ShutdownSignals

    tables, resolve_secret, state = venues_to_record(venues, symbols)
    limits = RecorderLimits(file_bytes_max=int(bounds["file_mib"] * (1 << 20)), file_s_max=bounds["file_minutes"] * 60)
    with ShutdownSignals().installed() as signals, Recorder(folder or state / RECORDINGS, limits) as recorder:
        signals.defer_to_drain()
        capture_session(
            tables, resolve_secret, recorder, lambda note: logger().info(note.event, **note.fields)
        ).run_blocking(lambda: signals.requested, bounds["for_s"])
    report = recorder.report()
    print_result(report, as_json=as_json, text=format_fields(struct_fields(report)))
    return 1 if report.dropped or not report.frames else 0


@cli.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@json_option
def recordings(folder: Path | None, *, as_json: bool) -> None:
    """List recording files by venue and start time."""
    from components.market_data.commands.output import format_fields, struct_fields
    from components.market_data.core.recording import list_files
    from components.runtime.config.settings import load_settings

    folder = folder or load_settings().paths.state / RECORDINGS
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such directory")
    for name, part in list_files(path.name for path in folder.iterdir()):
        fields = {"file": str(folder / name), **struct_fields(part), "bytes": (folder / name).stat().st_size}
        print_result(fields, as_json=as_json, text=format_fields(fields))
