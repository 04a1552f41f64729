"""What every command line shares: lazy command groups, `--json`, one printed result, exit codes for failures."""

import errno
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final, NoReturn

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

_encoder: Final = msgspec.json.Encoder(enc_hook=str, decimal_format="string", order="deterministic")
json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON line.")
"""Adds an `as_json` argument to the command."""
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
"""The only mapping of failures to exit codes. A class that is not listed has the code of its nearest base class."""


class LazyGroup(click.Group):
    """A command group that imports a command's module when the command is called, so that --help is quick.

    `lazy` maps a command to its location ("package.module:attribute") and its line of help.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]] | None = None, **attributes: Any) -> None:  # noqa: ANN401  # click's own
        """Accept the locations of commands beside the arguments of click.Group."""
        super().__init__(*args, **attributes)
        self._lazy = dict(lazy or {})

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *self._lazy})

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; a lazy one is imported."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their help without importing them."""
        here = {name: command.get_short_help_str() for name, command in self.commands.items() if not command.hidden}
        rows = {**here, **{name: text for name, (_, text) in self._lazy.items()}}
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


def print_result(facts: Mapping[str, Any] | msgspec.Struct, *, as_json: bool, text: str | None = None) -> None:
    """Print a command's result on standard output: one JSON line, or text for a person."""
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
        if error.errno == errno.EIO:  # the terminal was closed; it is treated like a closed pipe
            raise BrokenPipeError(error.errno, "the terminal was closed") from error
        raise


def to_json(facts: object) -> str:
    """Return one canonical JSON line: sorted keys, decimals as strings."""
    return _encoder.encode(facts).decode()


def usage_error(message: str) -> NoReturn:
    """Raise the error for a request that is not possible."""
    raise UsageError(message)


def run_command(command: click.Command, args: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    An expected failure is printed without a traceback; only a bug leaves one, in the log.
    """
    stdout = sys.stdout
    try:
        result = command.main(args, standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as requested:
        # click exits like this after a broken pipe and replaces standard output.
        return _system_exit_code(requested) if sys.stdout is stdout else EXIT_SIGPIPE
    except click.Abort:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_SIGPIPE
    except Exception as error:
        return _report_failure(_primary_error(error))
    return result if type(result) is int else 0


def exit_code_of(error: Exception) -> int:
    """Return the exit code of this kind of failure. An exception that is not a TradingError is a bug."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), EXIT_BUG)


def _report_failure(error: Exception) -> int:
    code = exit_code_of(error)
    if code == EXIT_BUG:
        from components.runtime.logs import logger

        logger().critical("bug", exc_info=error)
        _print_error(f"this is a bug, see the log for the location: {type(error).__name__}: {error}")
        return code
    _print_error(error.format_message() if isinstance(error, click.ClickException) else str(error))
    return code


def _print_error(message: str) -> None:
    """Print the error on standard error, unless it cannot be written: the exit code is the same then."""
    try:
        for line in message.splitlines():
            click.echo(f"error: {line}", err=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _primary_error(error: Exception) -> Exception:
    # Concurrent tasks fail together; among their errors a TradingError tells the user most.
    while isinstance(error, ExceptionGroup):
        expected = error.subgroup(TradingError) or error
        error = expected.exceptions[0]
    return error


def _system_exit_code(requested: SystemExit) -> int:
    return requested.code if isinstance(requested.code, int) else int(requested.code is not None)
