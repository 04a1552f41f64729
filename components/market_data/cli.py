"""The verbs of market_data: run it, and listen to what it says."""

from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import click

from components.contracts.errors import UsageError
from components.runtime.cli import answer, json_option

JOIN_MS_MAX = 5_000
TURN_MS = 20
RECORDINGS = "recordings"
SUMMARY = "stream_summary"


@click.group(help="Venue feeds: quotes and trades, and how far each can be trusted.")
def cli() -> None:
    """Group the verbs."""


@cli.command()
def run() -> None:
    """Serve until SIGTERM."""
    from components.market_data.wiring import market_data
    from components.runtime.process import running

    with running("market_data") as process:
        market_data(process)


@cli.command()
@click.option("--symbol", help="Only what is about this symbol.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many messages.")
@json_option
def tail(symbol: str | None, count: int | None, *, as_json: bool) -> None:
    """Follow what a running market_data says."""
    for sequence, body in islice(_heard(symbol), count):
        facts = {"sequence": sequence, **_facts(body)}
        answer(facts, as_json=as_json, text=_words(facts))


@cli.command()
@click.argument("symbol")
@json_option
def quote(symbol: str, *, as_json: bool) -> int:
    """Show the last quote of a symbol and how far it can be trusted; exit 1 where there is none."""
    from components.contracts.market import Quote, SymbolHealth

    told = [body for body in _present() if getattr(body, "symbol", None) == symbol.upper()]
    facts = {
        "symbol": symbol.upper(),
        "quote": next((_facts(body) for body in told if isinstance(body, Quote)), None),
        "health": next((_facts(body) for body in told if isinstance(body, SymbolHealth)), None),
    }
    answer(facts, as_json=as_json)
    return 0 if facts["quote"] else 1


@cli.command()
@json_option
def state(*, as_json: bool) -> int:
    """Show every symbol's last price, its age, and how far it can be trusted; exit 1 where one cannot be."""
    from components.contracts.market import BookState, FeedHealth, Quote, SymbolHealth
    from components.runtime.clock import SystemClock

    told, now_ns = _present(), SystemClock().now_ns()
    trust = {body.symbol: body.state for body in told if isinstance(body, SymbolHealth)}
    feeds = {body.venue: body.state for body in told if isinstance(body, FeedHealth)}
    rows = [
        {
            "symbol": body.symbol,
            "bid": body.bid_price,
            "ask": body.ask_price,
            "age_ms": round((now_ns - body.received_at_ns) / 1e6, 1),
            "trust": trust.get(body.symbol),
        }
        for body in told
        if isinstance(body, Quote)
    ]
    text = [f"feed {venue}: {feed}" for venue, feed in feeds.items()]
    text += ["{symbol:<8} {bid:>11} {ask:>11} {age_ms:>9} ms  {trust}".format_map(row) for row in rows]
    answer({"feeds": feeds, "symbols": rows, "trust": trust}, as_json=as_json, text="\n".join(text))
    return 0 if trust and all(one is BookState.SYNCED for one in trust.values()) else 1


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def verify(files: tuple[Path, ...], *, as_json: bool) -> int:
    """Hold recordings against their venues' rules, a line per book; exit 1 where one is not proven to its end.

    Files of one recording that follow each other are read as one.
    """
    from components.market_data.core.recording import chapters
    from components.market_data.venues.recorded import Recording, read_recording
    from components.market_data.venues.verify import verify as check

    proven = []
    for paths in chapters(files):
        recording = Recording(paths)
        books = check(recording, read_recording(recording))
        for book in books:
            verdict = book.verdict()
            answer(verdict, as_json=as_json, text=f"{'good' if book.is_good else 'BAD ':<4} {_words(_fields(verdict))}")
        if not books:
            click.echo(f"error: {recording.name}: no frame of a book in it", err=True)
        proven += [book.is_good for book in books] or [False]
    return 0 if all(proven) else 1


@cli.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--speed", type=click.FloatRange(min=0), default=0, show_default=True, help="1: as it happened; 0: without waiting."
)
@click.option("--digest", is_flag=True, help="Only one hash over all that would be published.")
@json_option
def replay(files: tuple[Path, ...], *, speed: float, digest: bool, as_json: bool) -> None:
    """Play a recording (its files in order) and show what would be published; nobody else hears it."""
    from components.market_data.venues.recorded import Recording
    from components.runtime.codec import encode
    from components.runtime.logs import logger
    from components.runtime.service import Publish

    recording, count, published = Recording(files), 0, sha256()
    for effect in _rehearsal(recording, speed):
        if not isinstance(effect, Publish):
            if effect.event == SUMMARY:
                logger().info(effect.event, **effect.facts)
        elif digest:
            count += 1
            published.update(f"{effect.stream.name} ".encode() + encode(effect.body) + b"\n")
        else:
            facts = {"stream": effect.stream.name, **_facts(effect.body)}
            answer(facts, as_json=as_json, text=_words(facts))
    if digest:
        answer({"messages": count, "sha256": published.hexdigest()}, as_json=as_json)


@cli.command()
@click.option("--venue", "venues", multiple=True, help="Only this venue, as BINANCE; may be repeated.")
@click.option(
    "--symbol", "symbols", multiple=True, help="This symbol, as OKX:BTC-USDT, in place of the configured ones."
)
@click.option("--for", "for_s", type=click.FloatRange(min=0), help="Stop after so many seconds; else on SIGTERM.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to; a folder of its own by default.")
@click.option(
    "--file-mib", type=click.FloatRange(min=0.001), default=128, show_default=True, help="Begin a new file then."
)
@click.option("--file-minutes", type=click.IntRange(min=1), default=60, show_default=True, help="Or after so long.")
@json_option
def record(
    venues: tuple[str, ...],
    symbols: tuple[str, ...],
    folder: Path | None,
    *,
    as_json: bool,
    **bounds: Any,  # noqa: ANN401  # click's numbers
) -> int:
    """Record live venues' raw frames into files; nothing is published. Exit 1 where frames had to be dropped."""
    from components.market_data.config import MarketDataConfig
    from components.market_data.venues.choosing import choose
    from components.market_data.venues.recorder import Recorder, RecorderLimits
    from components.market_data.wiring import listening
    from components.runtime.config import read_layers
    from components.runtime.logs import hide, logger
    from components.runtime.secrets import resolve
    from components.runtime.stopping import StopSignals

    layers = read_layers()
    settings = layers.check({"market_data": MarketDataConfig})
    places, tables = settings.places, choose(settings.table("market_data", MarketDataConfig), venues, symbols)
    limits = RecorderLimits(file_bytes_max=int(bounds["file_mib"] * (1 << 20)), file_s_max=bounds["file_minutes"] * 60)

    def reveal(reference: str) -> bytes:
        secret = resolve(reference, root=places.root, environ=layers.environ).reveal()
        hide(secret.decode("utf-8", "replace"))
        return secret

    with StopSignals().installed() as signals, Recorder(folder or places.state / RECORDINGS, limits) as recorder:
        signals.only_ask()
        listening(tables, reveal, recorder, lambda note: logger().info(note.event, **note.facts)).listen(
            lambda: signals.requested, bounds["for_s"]
        )
    report = recorder.report()
    answer(report, as_json=as_json)
    return 1 if report.dropped else 0


@cli.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@json_option
def recordings(folder: Path | None, *, as_json: bool) -> None:
    """List the files of recordings by what their names say, oldest first."""
    from components.market_data.core.recording import list_parts
    from components.runtime.config import load

    folder = folder or load().places.state / RECORDINGS
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    for name, part in list_parts(path.name for path in folder.iterdir()):
        facts = {"file": str(folder / name), **_fields(part), "bytes": (folder / name).stat().st_size}
        answer(facts, as_json=as_json, text=_words(facts))


def _rehearsal(recording: Any, speed: float) -> Iterator[Any]:  # noqa: ANN401  # imported late, like all of it
    from components.market_data.service.rehearsal import Rehearsal, rehearsed
    from components.market_data.venues.playback import Pace, paced, play
    from components.market_data.venues.recorded import read_recording
    from components.runtime.clock import SystemClock

    reader, clock = read_recording(recording), SystemClock()
    dialect, symbols = reader.dialect, tuple(reader.registry.by_symbol)
    service = rehearsed(dialect.venue, symbols, dialect.rule, pushes_image=dialect.pushes_image)
    played = paced(play(recording, reader, clock), Pace(speed, clock))
    return Rehearsal(service, clock.monotonic_ns).run(played)


def _heard(symbol: str | None) -> Iterator[tuple[int, Any]]:
    from components.contracts.topics import MARKET
    from components.runtime.bus import tail as follow

    wanted = symbol.upper() if symbol else None
    for heard in follow(_run_folder(), MARKET):
        if wanted is None or getattr(heard.body, "symbol", None) == wanted:
            yield heard.header.sequence, heard.body


def _present() -> tuple[Any, ...]:
    """Join the stream as any process does: its present state comes first."""
    from components.contracts.errors import PeerUnreachable
    from components.contracts.topics import MARKET
    from components.runtime.bus import open_bus
    from components.runtime.clock import SystemClock
    from components.runtime.lines import Lines
    from components.runtime.logs import logger
    from components.runtime.metrics import Metrics
    from components.runtime.service import Joined

    lines, clock = Lines(component="verb", hears={MARKET: None}), SystemClock()
    bus = open_bus(_run_folder(), lines, clock=clock, metrics=Metrics("verb", ""), log=logger())
    until_ns = clock.monotonic_ns() + JOIN_MS_MAX * 1_000_000
    try:
        while clock.monotonic_ns() < until_ns:
            for inbound in (*bus.receive(TURN_MS), *bus.tend()):
                if isinstance(inbound, Joined):
                    return inbound.messages
    finally:
        bus.close()
    raise PeerUnreachable(f"market_data gave no snapshot within {JOIN_MS_MAX} ms")


def _run_folder() -> Path:
    from components.contracts.errors import PeerUnreachable
    from components.runtime.config import load
    from components.runtime.manifest import read_manifest

    places = load().places
    if read_manifest(places, "market_data") is None:
        raise PeerUnreachable(f"market_data is not running ({places.manifest('market_data')})")
    return places.run


def _facts(body: Any) -> dict[str, Any]:  # noqa: ANN401  # any message of the stream
    return {"type": type(body).__name__, **_fields(body)}


def _fields(struct: Any) -> dict[str, Any]:  # noqa: ANN401  # any of our values
    from msgspec.structs import asdict

    return asdict(struct)


def _words(facts: dict[str, Any]) -> str:
    return " ".join(f"{key}={_word(value)}" for key, value in facts.items())


def _word(value: Any) -> str:  # noqa: ANN401  # any fact
    if not isinstance(value, tuple | list):
        return str(value)
    return ",".join("x".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in value)
