"""Names: no identifier and no module carries a private metaphor where the field has an established word.

The list holds the words that this project once used for something that has a name in trading, in distributed systems or
in Python. A name that needs one of them in its ordinary meaning is listed with its reason.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import ROOT

FOLDERS = ("components", "benchmarks", "models", "docker", "tests")

INSTEAD: dict[str, str] = {
    "anew": "again, re-",
    "asked asking asker askers": "requested, requests, client",
    "beat beats beating beaten": "heartbeat, health, tick",
    "begun": "started",
    "berth berths crew yard": "supervisor, child, launcher",
    "blow blows": "kill",
    "board boards": "view model, publisher, status",
    "carrier": "executor",
    "chance chances dice": "random, jitter, probability",
    "chapter chapters": "file, group",
    "crowded": "queue full",
    "dialect dialects": "adapter",
    "desk desks door doors ear ears": "service, server, entry point, subscriber, listener",
    "diary": "log",
    "doubt doubts": "query, mismatch, divergence",
    "equipment": "context",
    "errand errands": "in flight",
    "flaw flaws": "error, violation",
    "fuse": "budget",
    "greet greets greeted greeting hello welcome": "login, announce, handshake",
    "happening happenings": "event",
    "hear hears heard hearer hearers hearing unheard": "receive, handle, subscriber",
    "house": "parts, installation",
    "handover handovers": "command, approval",
    "hurry hurried": "retry now, fast polling",
    "image images imaged": "snapshot",
    "incarnation": "run",
    "judge judged judges judging judgement judgements": "check, decide, evaluate",
    "keeper keepers": "supervisor",
    "lane lanes": "channel, queue, state",
    "liar lie lies lied": "fault",
    "lined": "connection",
    "mend mends mended": "fix",
    "mishap mishaps": "fault",
    "mute mutes muted": "no data, no pong",
    "newborn newcomer newcomers": "new",
    "obey obeys": "apply, handle",
    "odd oddity oddities strange stranger strangers": "invalid, decode issue, unknown client",
    "paint": "draw, style",
    "patience": "timeouts, limits",
    "presence": "registration",
    "press presses": "advance, drive",
    "pulse pulses": "health state, heartbeat",
    "reckoning": "convergence, settlement",
    "rehearsal rehearse rehearsed rehearsing": "replay",
    "remedy remedies": "resync method",
    "say says said saying speak speaks speaker speakers speaking spoken": "publish, send, text, producer",
    "seat seats": "application",
    "sighting sightings": "last quote, observation",
    "stance stances": "conditions",
    "storm calm weather": "fault phase, environment",
    "story stories tale tales": "history",
    "surroundings": "observations",
    "sweep": "cancel all",
    "tell tells telling told": "report, log, notify, publish",
    "tend tends": "poll",
    "tongue tongues": "format",
    "trouble troubles": "failure, fault",
    "truth truths": "venue state, expected value",
    "twist twisted": "corrupt",
    "vanish": "unregister",
    "verb verbs": "command",
    "visit vitals": "check, health",
    "voice voices": "producer, publisher",
    "wish wishes wished": "intent, proposal",
    "witness witnesses": "checker, replica",
}  # fmt: skip
BANNED = {word: instead for words, instead in INSTEAD.items() for word in words.split()}

ALLOWED: dict[str, str] = {
    "ZMTP_GREETING": "greeting is the term of the ZeroMQ protocol",
    "image_locks": "the container image",
    "test_every_pin_of_the_image_is_one_of_the_whole_lock": "the container image",
    "test_the_image_runs_nothing_that_is_only_for_tests": "the container image",
}
"""Names in which a word of the list has its ordinary meaning, each with the reason."""

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def words_of(name: str) -> list[str]:
    """Split an identifier: `SideDoor.arm_at_ns` is side, door, arm, at, ns."""
    return [word.lower() for word in WORD.findall(name)]


def defined_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return what a file names itself: functions, classes, parameters, variables, attributes, aliases of imports."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.Import() | ast.ImportFrom():
                yield from ((node.lineno, one.asname) for one in node.names if one.asname)
            case _:
                pass


def metaphors_in(name: str, text: str) -> list[str]:
    """Return the names of a file, and of the file itself, that carry a banned word, with what to write instead."""
    path = Path(name).with_suffix("")
    named = [(0, part.removeprefix("test_")) for part in path.parts] + list(defined_names(ast.parse(text)))
    return [
        f"{name}:{line}: {one}: {word} -> {BANNED[word]}"
        for line, one in named
        if one not in ALLOWED
        for word in words_of(one)
        if word in BANNED
    ]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_name_carries_a_private_metaphor(folder: str) -> None:
    files = [path for path in sorted((ROOT / folder).rglob("*.py")) if path != Path(__file__)]
    assert [one for path in files for one in metaphors_in(str(path.relative_to(ROOT)), path.read_text())] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("components/execution/service/desk.py", '"""A module."""'),
        ("components/verbs/order.py", '"""A package."""'),
        ("components/risk/service.py", "class Ear: pass"),
        ("components/risk/service.py", "class SideDoor: pass"),
        ("components/risk/service.py", "def on_hear(message): pass"),
        ("components/risk/service.py", "async def tell(message): pass"),
        ("components/risk/service.py", "def publish(told): pass"),
        ("components/risk/service.py", "def publish(*, wished_at_ns): pass"),
        ("components/risk/service.py", "MUTE_MS_MAX = 1"),
        ("components/risk/service.py", "begun: int = 1"),
        ("components/risk/service.py", "for said in messages: pass"),
        ("components/risk/service.py", "self.crew = 1"),
        ("components/risk/service.py", "from a import b as stranger"),
        ("components/risk/service.py", "if (doubt := find()): pass"),
        ("tests/unit/risk/test_story.py", "pass"),
        ("tests/unit/risk/test_checks.py", "def test_the_hearer_is_told(): pass"),
    ],
)
def test_a_planted_metaphor_is_found(name: str, text: str) -> None:
    assert metaphors_in(name, text)


def test_words_that_only_look_alike_are_left_alone() -> None:
    text = "year = search = heartbeat = linear = indoors = best_ask = wishlist = judgemental = 1\ndef clear(): pass"
    assert not metaphors_in("components/risk/year.py", text)


def test_every_allowed_name_is_used_and_has_a_reason() -> None:
    used: set[str] = set()
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            used |= {path.stem.removeprefix("test_"), *(name for _, name in defined_names(ast.parse(path.read_text())))}
    assert ALLOWED.keys() <= used
    assert all(reason.strip() for reason in ALLOWED.values())
