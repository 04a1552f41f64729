"""Commands are found without importing them, results are one line, and each kind of failure has its exit code."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import click
import pytest
import structlog
from click.testing import CliRunner

from components.contracts import errors
from components.contracts.errors import ConfigError, InvariantError, TradingError, VenueUnavailable
from components.runtime.cli import EXIT_CODES, LazyGroup, exit_code_of, print_result, run_command, to_json

GROUP = LazyGroup(
    "xtrader",
    lazy={
        "missing": ("components.not_there:cli", "A subcommand whose module is not there."),
        "tests": ("tests.unit.runtime.test_cli:GROUP", "This group again."),
    },
)


def test_help_lists_commands_without_importing_them() -> None:
    result = CliRunner().invoke(GROUP, ["--help"])
    assert "A subcommand whose module is not there." in result.output
    assert result.exit_code == 0


def test_a_command_is_imported_when_it_is_called() -> None:
    assert "This group again." in CliRunner().invoke(GROUP, ["tests", "--help"]).output


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(GROUP, ["mising"]).exit_code == 2


def test_a_json_answer_is_one_canonical_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"b": Decimal("1.50"), "a": [1, None]}, as_json=True)
    assert capsys.readouterr().out == '{"a":[1,null],"b":"1.50"}\n'


def test_a_readable_answer_is_facts_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"ok": True, "records": 12}, as_json=False)
    assert capsys.readouterr().out == "ok                   True\nrecords              12\n"


def test_a_command_may_print_its_own_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"ok": True}, as_json=False, text="all is well")
    assert capsys.readouterr().out == "all is well\n"


def test_the_same_facts_are_the_same_line() -> None:
    assert to_json({"a": 1, "b": 2}) == to_json({"b": 2, "a": 1})


@pytest.fixture(autouse=True)
def unconfigured_logs() -> None:
    structlog.reset_defaults()


CODES = {
    errors.UsageError: 64,
    errors.ProtocolError: 65,
    errors.CorruptData: 65,
    errors.PeerUnreachable: 69,
    errors.VenueError: 69,
    errors.VenueUnavailable: 69,
    errors.VenueRejected: 1,
    errors.InvariantError: 70,
    errors.TradingError: 70,
    errors.StorageError: 74,
    errors.ResourceBusy: 75,
    errors.ConfigError: 78,
}


def command(does: Callable[[], Any]) -> click.Command:
    return click.Command("subcommand", callback=does)


def raising(error: BaseException) -> click.Command:
    def subcommand() -> None:
        raise error

    return command(subcommand)


def test_every_kind_of_failure_has_its_code() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TradingError)}
    assert {kind: exit_code_of(kind("why")) for kind in kinds} == CODES
    assert set(EXIT_CODES) <= kinds | {click.ClickException, click.FileError}


@pytest.mark.parametrize("kind", [kind for kind in CODES if CODES[kind] != 70])
def test_a_mistake_is_one_line_and_no_traceback(kind: type[TradingError], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(kind("why")), []) == CODES[kind]
    assert capsys.readouterr() == ("", "error: why\n")


def test_every_line_of_a_wrong_configuration_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(ConfigError("a: wrong\nb: wrong")), []) == 78
    assert capsys.readouterr().err == "error: a: wrong\nerror: b: wrong\n"


@pytest.mark.parametrize("error", [KeyError("x"), OSError(5, "x"), InvariantError("x")])
def test_a_bug_leaves_a_traceback_in_the_log_and_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(error), []) == 70
    *log, line = capsys.readouterr().err.splitlines()
    assert "Traceback" in "".join(log)
    assert line.startswith(f"error: this is a bug, see the log for the location: {type(error).__name__}: ")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--jsn"], "error: No such option '--jsn'. Did you mean '--json'?\n"),
        (["more"], "error: Got unexpected extra argument (more)\n"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(args: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    subcommand = click.Command("subcommand", params=[click.Option(["--json"])], callback=lambda json: None)
    assert run_command(subcommand, args) == 64
    assert capsys.readouterr().err == line


def test_of_tasks_that_fail_together_the_error_raised_on_purpose_is_printed() -> None:
    together = ExceptionGroup("tasks", [ExceptionGroup("inner", [KeyError("x"), VenueUnavailable("no answer")])])
    assert run_command(raising(together), []) == 69


def test_the_number_a_command_returns_is_the_exit_code() -> None:
    assert [run_command(command(partial(int, code)), []) for code in (0, 1)] == [0, 1]
    assert run_command(command(list), []) == 0


def test_help_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(KeyError("not reached")), ["--help"]) == 0
    assert "Usage" in capsys.readouterr().out


def test_an_interrupted_command_is_not_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(raising(KeyboardInterrupt()), []) == 130
    assert "Traceback" not in capsys.readouterr().err
