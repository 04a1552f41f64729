"""Verbs are found by name without being imported, and answers are one line."""

from decimal import Decimal

import pytest
from click.testing import CliRunner

from components.runtime.cli import LazyGroup, print_result, to_json

GROUP = LazyGroup(
    "xtrader",
    lazy={
        "missing": ("components.not_there:cli", "A verb whose module is not there."),
        "tests": ("tests.unit.runtime.test_cli:GROUP", "This group again."),
    },
)


def test_help_lists_verbs_without_importing_them() -> None:
    result = CliRunner().invoke(GROUP, ["--help"])
    assert "A verb whose module is not there." in result.output
    assert result.exit_code == 0


def test_a_verb_is_imported_when_it_is_called() -> None:
    assert "This group again." in CliRunner().invoke(GROUP, ["tests", "--help"]).output


def test_an_unknown_verb_is_a_usage_error() -> None:
    assert CliRunner().invoke(GROUP, ["mising"]).exit_code == 2


def test_a_json_answer_is_one_canonical_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"b": Decimal("1.50"), "a": [1, None]}, as_json=True)
    assert capsys.readouterr().out == '{"a":[1,null],"b":"1.50"}\n'


def test_a_readable_answer_is_facts_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"ok": True, "records": 12}, as_json=False)
    assert capsys.readouterr().out == "ok                   True\nrecords              12\n"


def test_a_verb_may_word_its_own_answer(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"ok": True}, as_json=False, text="all is well")
    assert capsys.readouterr().out == "all is well\n"


def test_the_same_facts_are_the_same_line() -> None:
    assert to_json({"a": 1, "b": 2}) == to_json({"b": 2, "a": 1})
