"""The layout of the project: captions, package sizes, where tests stand, what may import what outside of `components`.

Each check is a function of a folder and returns what it objects to; it is run on the project, where it must object to
nothing, and on a planted example, where it must.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import grimp
import pytest

from tests.support.project import ROOT, project_texts, relative_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CODE_FOLDERS = ("components", "tests", "benchmarks", "models", "docker")

MODULES_MAX = 14
LARGER_PACKAGES: dict[str, str] = {}
"""Packages with more modules than that, each with the reason."""

TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))
VAGUE_MODULE_NAMES = {"common", "helper", "helpers", "misc", "shared", "stuff", "util", "utils", "verbs"}
VAGUE_SUFFIX = re.compile(r"(?:Utils?|Helpers?|Misc|Common|Stuff)$")
LAZY_ADDRESS = re.compile(r'"(components(?:\.\w+)+):\w+"')
PROMISE_FOR_LATER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~$}/-])/(?:root|work|Users/\w+|home/\w+)/")

Check = Callable[[Path], list[str]]


def python_files(root: Path, *folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Return every Python file below some folders of a project: its name and its syntax tree."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            yield str(path.relative_to(root)), ast.parse(path.read_text(), filename=str(path))


def imported(tree: ast.Module) -> Iterator[str]:
    """Return the name of each module that a file imports, `from a import b` as both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


# The checks


def modules_without_docstring(root: Path) -> list[str]:
    return [name for name, tree in python_files(root, *CODE_FOLDERS) if not (ast.get_docstring(tree) or "").strip()]


def packages_with_code(root: Path) -> list[str]:
    """An `__init__.py` is a docstring only: an import path is always a file path."""
    files = python_files(root, *CODE_FOLDERS)
    return [name for name, tree in files if name.endswith("/__init__.py") and len(tree.body) != 1]


def vague_names(root: Path) -> list[str]:
    found = []
    for name, tree in python_files(root, *CODE_FOLDERS):
        parts = Path(name).with_suffix("").parts
        found += [f"{name}: {part}" for part in parts if part in VAGUE_MODULE_NAMES]
        classes = (node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
        found += [f"{name}: {one}" for one in classes if VAGUE_SUFFIX.search(one)]
    return found


def large_packages(root: Path) -> list[str]:
    """Return packages that hold so many modules that their listing no longer teaches anything."""
    counts: dict[str, int] = {}
    for name, _ in python_files(root, "components"):
        if not name.endswith("/__init__.py"):
            counts[str(Path(name).parent)] = counts.get(str(Path(name).parent), 0) + 1
    return [
        f"{package}: {count} modules"
        for package, count in counts.items()
        if count > MODULES_MAX and package not in LARGER_PACKAGES
    ]


def unit_tests_without_module(root: Path) -> list[str]:
    """Every tests/unit/PACKAGE/test_X.py tests components/PACKAGE/M.py, where X is M or begins with `M_`."""
    orphans = []
    for path in sorted((root / "tests" / "unit").rglob("*.py")):
        package = path.parent.relative_to(root / "tests" / "unit")
        claimed = path.stem.removeprefix("test_")
        modules = [one.stem.strip("_") for one in (root / "components" / package).glob("*.py")]
        if not path.stem.startswith("test_") or not any(f"{claimed}_".startswith(f"{one}_") for one in modules):
            orphans.append(str(path.relative_to(root)))
    return orphans


def imports_of_unit_tests(root: Path) -> list[str]:
    """What several kinds of tests need stands in tests/support."""
    return [
        f"{name} imports {module}"
        for name, tree in python_files(root, "tests")
        for module in imported(tree)
        if module.startswith("tests.unit")
    ]


def imports_of_tests(root: Path) -> list[str]:
    """Code that is shipped or measured does not depend on the tests."""
    return [
        f"{name} imports {module}"
        for name, tree in python_files(root, "components", "benchmarks", "models", "docker")
        for module in imported(tree)
        if module.partition(".")[0] == "tests"
    ]


def sleeping_tests(root: Path) -> list[str]:
    """A test waits with `eventually`; `asyncio.sleep(0)` only gives other tasks their turn."""
    return [
        f"{name}: {ast.unparse(node)}"
        for name, tree in python_files(root, "tests")
        if Path(name).name != "eventually.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sleep"
        if ast.unparse(node) != "asyncio.sleep(0)"
    ]


def packages_of_data(root: Path) -> list[str]:
    """With an `__init__.py`, docker/ would hide the library of that name."""
    return [str(one) for folder in ("config", "docker", "docs") for one in (root / folder).rglob("__init__.py")]


PLANTED: dict[Check, dict[str, str]] = {
    modules_without_docstring: {"components/risk/limits.py": "LIMIT = 1\n"},
    packages_with_code: {"components/risk/__init__.py": '"""Risk."""\nfrom components.risk.limits import Limits\n'},
    vague_names: {"components/risk/core/limits.py": '"""Limits."""\nclass LimitHelper:\n    pass\n'},
    large_packages: {f"components/risk/check_{number}.py": '"""A check."""\n' for number in range(MODULES_MAX + 1)},
    unit_tests_without_module: {
        "components/risk/limits.py": '"""Limits."""\n',
        "tests/unit/risk/test_limits.py": '"""Its tests."""\n',
        "tests/unit/risk/test_limits_of_orders.py": '"""More of its tests."""\n',
        "tests/unit/risk/test_regressions.py": '"""Tests of everything."""\n',
    },
    imports_of_unit_tests: {
        "tests/integration/test_bus.py": '"""A test."""\nfrom tests.unit.risk.world import World\n'
    },
    imports_of_tests: {"benchmarks/bus.py": '"""A benchmark."""\nfrom tests.support.project import ROOT\n'},
    sleeping_tests: {"tests/e2e/test_up.py": '"""A test."""\nimport time\ntime.sleep(1)\n'},
    packages_of_data: {"docker/__init__.py": '"""Hides the library."""\n'},
}
MORE_PLANTED: list[tuple[Check, str, str]] = [
    (vague_names, "components/risk/utils.py", '"""Anything."""\n'),
    (vague_names, "components/risk/verbs/order.py", '"""A command."""\n'),
    (unit_tests_without_module, "tests/unit/risk/world.py", '"""Shared by tests."""\n'),
    (imports_of_unit_tests, "tests/chaos/test_kills.py", '"""A test."""\nfrom tests import unit\n'),
    (imports_of_tests, "components/risk/limits.py", '"""Limits."""\nimport tests.support.project\n'),
]


@pytest.mark.parametrize("check", PLANTED, ids=lambda check: check.__name__)
def test_the_project_is_laid_out_as_agreed(check: Check) -> None:
    assert check(ROOT) == []


@pytest.mark.parametrize(
    ("check", "files"),
    [*PLANTED.items(), *((check, {name: text}) for check, name, text in MORE_PLANTED)],
    ids=lambda value: value.__name__ if callable(value) else "planted",
)
def test_each_check_objects_to_exactly_what_is_planted(check: Check, files: dict[str, str], tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert len({one.partition(" imports ")[0] for one in check(tmp_path)}) == 1


def test_every_exception_for_a_large_package_is_needed_and_has_a_reason() -> None:
    counts = {package: len(list((ROOT / package).glob("[!_]*.py"))) for package in LARGER_PACKAGES}
    assert not [package for package, count in counts.items() if count <= MODULES_MAX]
    assert all(reason.strip() for reason in LARGER_PACKAGES.values())


# What concerns the project as a whole


def lazily_imported() -> set[str]:
    """Return the modules that a command group names by address and imports when they are called."""
    return {module for path in (ROOT / "components").rglob("*.py") for module in LAZY_ADDRESS.findall(path.read_text())}


def test_no_module_is_unused() -> None:
    graph = grimp.build_graph("components", cache_dir=None)
    modules = {
        module
        for module in graph.modules
        if not module.endswith(".__main__") and (ROOT / (module.replace(".", "/") + ".py")).is_file()
    }
    used = {one for one in modules if graph.find_modules_that_directly_import(one)} | lazily_imported()
    assert not sorted(modules - used)


def test_every_executable_is_a_command() -> None:
    names = [path.parent.name for path in (ROOT / "components").glob("*/__main__.py")]
    commands = {"xtrader" if name == "xtrader" else f"xtrader-{name.replace('_', '-')}": name for name in names}
    assert {command: f"components.{name}.__main__:main" for command, name in commands.items()} == PROJECT["scripts"]


def test_no_text_promises_work_for_later_or_names_a_machine() -> None:
    lines = [
        f"{relative_name(path)}:{number}: {line.strip()}"
        for path, text in project_texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if PROMISE_FOR_LATER.search(line) or MACHINE_PATH.search(line) or str(ROOT) in line
    ]
    assert not lines


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
    recipes = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    called = set(re.findall(r"entry: make (\S+)", hooks))
    assert called
    assert called <= recipes
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
    assert "://" not in hooks
