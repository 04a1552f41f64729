"""What every command shares: verbs found by name, `--json`, and one line of answer on standard output."""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
import msgspec
from typing_extensions import override

from components.contracts.errors import (
    ConfigError,
    CorruptData,
    InvariantError,
    PeerUnreachable,
    ProtocolError,
    ResourceBusy,
    StorageError,
    TradingError,
    UsageError,
    VenueError,
    VenueRejected,
)

if TYPE_CHECKING:
    pass


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


EXIT_USAGE: Final = 64
EXIT_BUG: Final = 70
EXIT_INTERRUPTED: Final = 130
EXIT_SIGPIPE: Final = 141
EXIT_CODES: Final[Mapping[type[Exception], int]] = {
    UsageError: EXIT_USAGE,
    ConfigError: 78,
    CorruptData: 65,
    PeerUnreachable: 69,
    StorageError: 74,
    ResourceBusy: 75,
    ProtocolError: 65,
    VenueError: 69,
    VenueRejected: 1,
    InvariantError: EXIT_BUG,
    TradingError: EXIT_BUG,
    click.FileError: 74,
    click.ClickException: EXIT_USAGE,
}
"""The one place where a failure becomes an exit code; a kind that is not here has that of its nearest parent."""


def run_command(command: click.Command, args: Sequence[str] | None = None) -> int:
    """Run a command line; a mistake is told in one clear line, and only a bug leaves a traceback in the log."""
    stdout = sys.stdout
    try:
        result = command.main(args, standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as left:
        # click leaves so when nobody reads any longer, with a standard output that no longer complains.
        return _system_exit_code(left) if sys.stdout is stdout else EXIT_SIGPIPE
    except click.Abort:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_SIGPIPE
    except Exception as error:
        return _report_failure(_primary_error(error))
    return result if type(result) is int else 0


def exit_code_of(error: Exception) -> int:
    """Give the exit code of this kind of failure; whatever is not raised on purpose is a bug."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), EXIT_BUG)


def _report_failure(error: Exception) -> int:
    code = exit_code_of(error)
    if code == EXIT_BUG:
        from components.runtime.logs import logger

        logger().critical("bug", exc_info=error)
        _print_error(f"this is a bug; the log has where: {type(error).__name__}: {error}")
        return code
    _print_error(error.format_message() if isinstance(error, click.ClickException) else str(error))
    return code


def _print_error(message: str) -> None:
    """Tell a person, unless there is no room to: the exit code is the same then."""
    try:
        for line in message.splitlines():
            click.echo(f"error: {line}", err=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _primary_error(error: Exception) -> Exception:
    # Tasks that run together fail together; what was raised on purpose says most.
    while isinstance(error, ExceptionGroup):
        purposeful = error.subgroup(TradingError) or error
        error = purposeful.exceptions[0]
    return error


def _system_exit_code(left: SystemExit) -> int:
    return left.code if isinstance(left.code, int) else int(left.code is not None)
