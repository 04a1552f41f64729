"""The verbs that look into a journal's folder; nothing needs to run."""

from pathlib import Path

import click

from components.runtime.cli import json_option, print_result, to_json


@click.group()
def journal() -> None:
    """Look into a journal's folder; nothing needs to run."""


@journal.command("verify")
@click.argument("folder", type=click.Path(path_type=Path))
@json_option
def journal_verify(folder: Path, *, as_json: bool) -> int:
    """Follow the hash chain from the first record; exit 65 where it breaks."""
    from components.contracts.errors import CorruptData
    from components.runtime.process import EXIT_CODES
    from components.xtrader.journals import verify

    found = verify(folder)
    print_result(found, as_json=as_json)
    return 0 if found["ok"] else EXIT_CODES[CorruptData]


@journal.command("dump")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--from", "from_sequence", type=click.IntRange(min=1), default=1, show_default=True)
@json_option
def journal_dump(folder: Path, from_sequence: int, *, as_json: bool) -> None:
    """Print each record, one a line."""
    from components.xtrader.journals import dump

    for row in dump(folder, from_sequence):
        entry = row.get("entry", row.get("unreadable"))
        click.echo(to_json(row) if as_json else f"{row['sequence']:>8} {row['kind'] or '?':<20} {to_json(entry)}")
