"""Prose: docstrings and help texts begin with the verb of the field, not with a personified one.

`Return`, `Publish` and `Receive` can be searched for and mean one thing each.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT

FOLDERS = ("components", "benchmarks", "models", "docker", "tests")

INSTEAD = {
    "Give": "Return, or what is done: Publish, Write",
    "Say": "Return whether, Publish, Log, Print",
    "Tell": "Report, Log, Notify, Print",
    "Hear": "Receive, Handle",
    "Listen": "Receive, Subscribe",
    "Ask": "Request, Query, Call",
    "Take": "Apply, Consume, Accept, Read",
    "Let": "Allow, Schedule, or the verb itself",
    "Know": "Record, Store",
    "Hold": "Compare, Keep, Lock",
    "Look": "Check, Read, Search",
}
FIRST_WORD = re.compile(r"\s*([A-Za-z]+)")
HELP_KEYWORDS = {"help", "short_help", "epilog", "description"}
METRICS = {"counter", "gauge", "histogram"}
OPAQUE = re.compile(r"\b(?:read aloud|behind the loop's back|anew)\b", re.IGNORECASE)


def help_texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return the texts that a user reads as help: of options, commands, fields and metrics."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        texts: list[ast.expr | None] = [one.value for one in node.keywords if one.arg in HELP_KEYWORDS]
        if isinstance(node.func, ast.Attribute) and node.func.attr in METRICS:
            texts += node.args[1:2]
        for one in texts:
            if isinstance(one, ast.Constant) and isinstance(one.value, str):
                yield one.lineno, one.value


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return every docstring, and every text that stands as a statement below what it explains."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def metric_tables(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return the values of tables named HELP: the help texts of metrics that are made in a loop."""
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if isinstance(value, ast.Dict) and any(isinstance(one, ast.Name) and "HELP" in one.id for one in targets):
            strings = (one for one in ast.walk(value) if isinstance(one, ast.Constant) and isinstance(one.value, str))
            yield from ((one.lineno, str(one.value)) for one in strings)


def private_prose(text: str) -> list[str]:
    """Return the docstrings and help texts of a file that begin with a banned word or hold a riddle."""
    tree = ast.parse(text)
    found = []
    for line, prose in (*docstrings(tree), *help_texts(tree), *metric_tables(tree)):
        first = FIRST_WORD.match(prose)
        if first and first[1] in INSTEAD:
            found.append(f"{line}: {first[1]} -> {INSTEAD[first[1]]}: {prose.strip()[:60]}")
        if riddle := OPAQUE.search(prose):
            found.append(f"{line}: {riddle[0]}: {prose.strip()[:60]}")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_docstrings_and_help_texts_begin_with_an_established_word(folder: str) -> None:
    files = [path for path in sorted((ROOT / folder).rglob("*.py")) if path != Path(__file__)]
    assert [f"{path.relative_to(ROOT)}:{one}" for path in files for one in private_prose(path.read_text())] == []


@pytest.mark.parametrize("word", INSTEAD)
@pytest.mark.parametrize(
    "text",
    [
        '"""{} the orders."""',
        'def orders():\n    """{} the orders."""',
        'async def orders():\n    """{} the orders."""',
        'class Orders:\n    """{} the orders."""',
        'class Orders:\n    def all(self):\n        """\n        {} the orders.\n        """',
        'LIMIT = 1\n"""{} the limit."""',
        '@click.option("--all", help="{} the orders.")\ndef orders(): pass',
        'metrics.counter("orders", "{} the orders.", ("side",))',
        'metrics.gauge("orders", "{} the orders.")',
        'HELP = {{"orders": "{} the orders."}}',
        'parser.add_argument("--all", help="{} the orders.")',
    ],
)
def test_a_planted_text_is_found(word: str, text: str) -> None:
    assert private_prose(text.format(word))


@pytest.mark.parametrize("phrase", ["Records read aloud.", "Start anew.", "Runs behind the loop's back."])
def test_a_planted_riddle_is_found(phrase: str) -> None:
    assert private_prose(f'"""{phrase}"""')


@pytest.mark.parametrize(
    "text", ["Allow a retry.", "Taken orders.", "Given a key, return it.", "Known hosts.", "Letter."]
)
def test_other_words_are_left_alone(text: str) -> None:
    assert not private_prose(f'"""{text}"""')
