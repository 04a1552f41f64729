"""The runbook has a heading for each cause, alert and exit code, and every command in the documents exists."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from components.contracts.trading import CAUSE_EFFECTS, Cause
from components.runtime.cli import EXIT_CODES
from components.xtrader.cli import cli

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
READ = RUNBOOK + (ROOT / "docs" / "operations.md").read_text() + (ROOT / "README.md").read_text()
SECTIONS = dict(re.findall(r"^### (.+)\n\n((?:(?!^#).*\n?)*)", RUNBOOK, flags=re.MULTILINE))
RULES = sorted((ROOT / "docker" / "prometheus").glob("*.yml"))
ALERTS = [name for path in RULES for name in re.findall(r"- alert: (\w+)", path.read_text())]


def commands() -> Iterator[str]:
    for block in re.findall(r"^```\n(.*?)^```", READ, flags=re.MULTILINE | re.DOTALL):
        yield from (
            line.split(" #")[0].split(" | ")[0].rstrip() for line in block.splitlines() if line.startswith("xtrader ")
        )
    yield from (found for found in re.findall(r"`(xtrader [^`\n]+)`", READ) if "\n" not in found)


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_its_effect_and_how_it_is_cleared(cause: Cause) -> None:
    text = SECTIONS[cause.name]
    latched = CAUSE_EFFECTS[cause].latched
    assert ("atched" in text.split(".")[0]) == latched
    assert "no rule raises it yet" in text or CAUSE_EFFECTS[cause].state.name in text.split(".")[0]


@pytest.mark.parametrize("code", sorted({0, *EXIT_CODES.values()}))
def test_every_exit_code_has_a_heading(code: int) -> None:
    assert SECTIONS[str(code)].strip()


@pytest.mark.parametrize("alert", sorted(set(ALERTS)))
def test_every_alert_has_a_heading(alert: str) -> None:
    assert SECTIONS[alert].strip()


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_exists_with_its_options(line: str) -> None:
    command, words = _resolve(line.split()[1:])
    known = {name for one in command.params for name in one.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_every_link_has_its_heading() -> None:
    headings = re.findall(r"^#+ (.+)$", RUNBOOK, flags=re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    assert not set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK)) - anchors


def _resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = cli
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, words
        command, words = found, words[1:]
    return command, words
