"""What every command shares: verbs found by name, `--json`, and one line of answer on standard output."""

import errno
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, NoReturn

import click
import msgspec
from typing_extensions import override

from components.contracts.errors import UsageError

_encoder: Final = msgspec.json.Encoder(enc_hook=str, decimal_format="string", order="deterministic")

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Answer with one JSON line.")
"""Gives the verb an `as_json` argument."""


class LazyGroup(click.Group):
    """A group whose verbs live in modules that are imported when they are called, so that --help is quick.

    `lazy` maps a verb to (where it is: "package.module:attribute", its one line of help).
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **attributes: Any) -> None:  # noqa: ANN401  # click's own
        """Take the verbs' addresses beside what click.Group takes."""
        super().__init__(*args, **attributes)
        self._lazy = dict(lazy or {})

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every verb."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a verb; an imported one if it is not here."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs with their help, without importing them."""
        here = {name: command.get_short_help_str() for name, command in self.commands.items() if not command.hidden}
        rows = {**here, **{name: text for name, (_, text) in self._lazy.items()}}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


def print_result(facts: Mapping[str, Any] | msgspec.Struct, *, as_json: bool, text: str | None = None) -> None:
    """Say a verb's answer on standard output: one JSON line, or what a person reads."""
    if as_json:
        line = to_json(facts)
    elif text is not None:
        line = text
    else:
        line = "\n".join(f"{key:<20} {value}" for key, value in msgspec.to_builtins(facts, enc_hook=str).items())
    try:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except OSError as error:
        if error.errno == errno.EIO:  # a terminal that was closed, which is a reader that left
            raise BrokenPipeError(error.errno, "the terminal was closed") from error
        raise


def to_json(facts: object) -> str:
    """Write one canonical line: keys sorted, decimals as texts."""
    return _encoder.encode(facts).decode()


def usage_error(message: str) -> NoReturn:
    """Tell a person that what was asked for cannot be."""
    raise UsageError(message)
