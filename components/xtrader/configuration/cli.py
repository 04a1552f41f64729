"""The verbs that look into the configuration; nothing needs to run."""

from typing import TYPE_CHECKING

import click

from components.runtime.cli import json_option, print_result, to_json

if TYPE_CHECKING:
    from components.xtrader.configuration.showing import ConfigKey


@click.group()
def config() -> None:
    """Look into the configuration; nothing needs to run."""


@config.command()
@json_option
def check(*, as_json: bool) -> None:
    """Check every table of every component; exit 78 with one line for each mistake."""
    from components.runtime.config import check_all
    from components.xtrader.schemas import table_models

    checked = check_all(table_models())
    facts = {"ok": True, "env": checked.paths.env, "account": checked.paths.account, "tables": sorted(checked.tables)}
    tables = ", ".join(sorted(checked.tables))
    text = f"{checked.paths.env}: every table is right ({tables})"
    print_result(facts, as_json=as_json, text=text)


@config.command()
@click.option("--origins", is_flag=True, help="Name the file or variable that decides each key.")
@click.option("--table", help="Only this table, as risk or risk.limits.")
@json_option
def show(table: str | None, *, origins: bool, as_json: bool) -> None:
    """Show every key as it holds, all layers together; secrets stay references."""
    from components.contracts.errors import UsageError
    from components.xtrader.configuration.showing import list_keys, nested_values

    found = list_keys(table)
    if not found:
        known = ", ".join(sorted({one.name.partition(".")[0] for one in list_keys(None)}))
        raise UsageError(f"--table {table}: no such table; there are {known}")
    if as_json:
        click.echo(to_json({"config": nested_values(found), **({"origins": _origins(found)} if origins else {})}))
    else:
        width = max(len(one.as_toml()) for one in found)
        click.echo(
            "\n".join(f"{one.as_toml():<{width}}  # {one.origin}" if origins else one.as_toml() for one in found)
        )


@config.command()
@json_option
def schema(*, as_json: bool) -> None:
    """Print the JSON schema of all tables: each key with its kind and range."""
    import json

    from components.xtrader.configuration.showing import json_schema

    found = json_schema()
    click.echo(to_json(found) if as_json else json.dumps(found, indent=1))


@config.command("make-seal")
@json_option
def create_seal_key(*, as_json: bool) -> None:
    """Make the key that risk and execution share, once; an existing one is never touched."""
    from components.runtime.config import load_settings
    from components.runtime.secrets import create_seal_key as make

    places = load_settings().paths
    made = make(places)
    text = f"{places.seal_key()}: " + ("made" if made else "was there already, left as it is")
    print_result({"made": made, "path": str(places.seal_key())}, as_json=as_json, text=text)


def _origins(keys: "list[ConfigKey]") -> dict[str, str]:
    return {one.name: one.origin for one in keys}
