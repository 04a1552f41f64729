"""The house is tidy: every file says what it is, is used, and keeps to the words and places we agreed on."""

import ast
import re
import tomllib
from pathlib import Path

import grimp
import pytest

from tests.support.project import ROOT, project_texts, relative_name

MODULES = sorted((ROOT / "components").rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
OTHERS = [path for folder in ("benchmarks", "models") for path in sorted((ROOT / folder).rglob("*.py"))]
CAPTIONED = MODULES + TEST_FILES + OTHERS
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

SENTENCE_END = re.compile(r"[.?!](?:\s|$)")
ROOM_WITHOUT_A_NAME = {"base", "common", "handlers", "helpers", "info", "manager", "misc", "shared", "util", "utils"}
NAME_WITHOUT_A_MEANING = re.compile(r"(?:Manager|Handler|Helper|Processor|Utils?|Info|Base)$")
LAZY_ADDRESS = re.compile(r'"(components(?:\.\w+)+):\w+"')
PROMISE_FOR_LATER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:root|work|Users/\w+|home/\w+)/")


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def lazily_imported() -> set[str]:
    """Find the modules that a command group names by address and imports when they are called."""
    return {module for path in MODULES for module in LAZY_ADDRESS.findall(path.read_text())}


@pytest.mark.parametrize("path", CAPTIONED, ids=relative_name)
def test_a_module_opens_with_a_caption_of_one_sentence(path: Path) -> None:
    caption = (ast.get_docstring(tree_of(path)) or "").split("\n")[0]
    assert len(SENTENCE_END.findall(caption)) == 1, caption
    assert caption.endswith((".", "?", "!")), caption


@pytest.mark.parametrize("path", [path for path in MODULES if path.name == "__init__.py"], ids=relative_name)
def test_an_init_is_a_caption_and_nothing_else(path: Path) -> None:
    assert len(tree_of(path).body) == 1


@pytest.mark.parametrize("path", MODULES, ids=relative_name)
def test_a_module_and_its_classes_have_names_that_mean_something(path: Path) -> None:
    assert path.stem not in ROOM_WITHOUT_A_NAME
    classes = [node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
    assert not [name for name in classes if NAME_WITHOUT_A_MEANING.search(name)]


def test_no_module_is_an_orphan() -> None:
    graph = grimp.build_graph("components", cache_dir=None)
    rooms = {
        module
        for module in graph.modules
        if not module.endswith(".__main__") and (ROOT / (module.replace(".", "/") + ".py")).is_file()
    }
    used = {room for room in rooms if graph.find_modules_that_directly_import(room)} | lazily_imported()
    assert not sorted(rooms - used)


def test_every_executable_is_a_command() -> None:
    rooms = [path.parent.name for path in (ROOT / "components").glob("*/__main__.py")]
    commands = {"xtrader" if room == "xtrader" else f"xtrader-{room.replace('_', '-')}": room for room in rooms}
    assert {command: f"components.{room}.__main__:main" for command, room in commands.items()} == PROJECT["scripts"]


@pytest.mark.parametrize("path", TEST_FILES, ids=relative_name)
def test_no_test_sleeps(path: Path) -> None:
    calls = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    sleeps = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "sleep"]
    waits = [ast.unparse(call) for call in sleeps if ast.unparse(call) != "asyncio.sleep(0)"]  # 0 only gives way
    assert not waits or path.name == "eventually.py"


def test_no_text_promises_work_for_later_or_names_a_machine() -> None:
    lines = [
        f"{relative_name(path)}:{number}: {line.strip()}"
        for path, text in project_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if PROMISE_FOR_LATER.search(line) or MACHINE_PATH.search(line) or str(ROOT) in line
    ]
    assert not lines


def test_a_folder_without_code_never_becomes_a_package() -> None:
    assert not [folder for folder in ("config", "docker", "docs") if list((ROOT / folder).rglob("__init__.py"))]


def test_the_lock_pins_by_hash_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.split(r"\n(?=\S)", lock.strip())
    assert not [pin for pin in pins if not re.match(r"[a-z0-9-]+==\S+ \\\n +--hash=sha256:", pin)]
    assert not re.search(r"://|index-url|find-links| @ ", lock)


def test_the_lock_covers_every_dependency() -> None:
    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE))
    wanted = [
        *PROJECT["dependencies"],
        *(name for extra in PROJECT["optional-dependencies"].values() for name in extra),
    ]
    assert not {re.split(r"[<>=~!\[; ]", name)[0] for name in wanted} - locked


def test_the_hooks_before_a_commit_call_our_own_recipes_and_fetch_nothing() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    recipes = set(re.findall(r"^([a-z0-9]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    called = set(re.findall(r"entry: make (\S+)", hooks))
    assert called
    assert called <= recipes
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
    assert "://" not in hooks
