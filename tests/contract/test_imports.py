"""The import contracts of pyproject.toml hold, and each of them fails on an import that it forbids."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from tests.support.project import ROOT

CONTRACTS = [
    one["name"] for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
]
OUTCOME = re.compile(r"^(.+?) (KEPT|BROKEN)\b", flags=re.MULTILINE)

ALLOWED = {
    "components/runtime/bus/zeromq.py": "import zmq",
    "components/signals/venues/onnx.py": "import numpy\nimport onnxruntime",
    "components/sandbox/wiring.py": "import aiohttp",
    "components/contracts/signals.py": "from components.contracts import _mint",
    "components/risk/wiring.py": "from components.contracts import approval",
}
"""What the contracts allow, so that the modules they protect are in the graph."""

FORBIDDEN: list[tuple[str, str, str]] = [
    ("Components never import each other", "components/risk/config.py", "import components.execution.config"),
    ("Components never import each other", "components/runtime/clock.py", "import components.signals.config"),
    ("Components never import each other", "components/contracts/values.py", "import components.runtime.clock"),
    ("Components never import each other", "components/utils/__init__.py", ""),
    ("Inside a component", "components/risk/core/limits.py", "import components.risk.service.outbox"),
    ("Inside a component", "components/market_data/service/quotes.py", "import components.market_data.venues.feeds"),
    ("Inside a component", "components/execution/helpers.py", ""),
    ("Inside the sandbox", "components/sandbox/wiring.py", "import components.sandbox.cli"),
    ("Inside runtime", "components/runtime/bus/codec.py", "import components.runtime.journal.format"),
    ("Inside runtime", "components/runtime/config/schema.py", "import components.runtime.process.process"),
    ("Inside runtime", "components/runtime/retry.py", "import components.runtime.clock"),
    ("Inside runtime", "components/runtime/sockets.py", ""),
    ("Contracts, cores", "components/contracts/values.py", "import time"),
    ("Contracts, cores", "components/risk/core/limits.py", "import random"),
    ("Contracts, cores", "components/market_data/core/book/audit.py", "import components.runtime.clock"),
    ("Contracts, cores", "components/sandbox/alpaca/core/orders.py", "import asyncio"),
    ("Contracts, cores", "components/sandbox/simulation/order_flow.py", "import random"),
    ("Only risk and execution use approvals", "components/signals/wiring.py", "import components.contracts.approval"),
    ("Only signals.py and approval.py", "components/risk/wiring.py", "import components.contracts._mint"),
    ("Only the ZeroMQ transport", "components/runtime/bus/publisher.py", "import zmq"),
    ("Only signals runs a model", "components/risk/config.py", "import numpy"),
    ("Only the sandbox runs", "components/runtime/process/health.py", "import aiohttp"),
    ("No import cycles", "components/risk/core/limits.py", "import components.risk.core.checks.flow"),
]
BACKWARD = {"components/risk/core/checks/flow.py": "import components.risk.core.limits"}
"""The other half of the planted cycle."""


PROGRAM = """
import contextlib, io, json, sys
from pathlib import Path
from importlinter.cli import lint_imports

for name, text in json.load(sys.stdin):
    path = Path(name)
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text((before or "") + chr(10) + text + chr(10))
    with contextlib.redirect_stdout(io.StringIO()) as output:
        lint_imports(no_cache=True)
    path.unlink() if before is None else path.write_text(before)
    print(json.dumps(output.getvalue()), flush=True)
"""
"""Lints the `components` of its folder once for each planted import, in one process, because starting one is slow."""


@pytest.fixture(scope="module")
def outputs(skeleton: Path) -> dict[tuple[str, str], str]:
    """Return what the linter prints for each planted import."""
    planted = [("components/__init__.py", ""), *((name, text) for _, name, text in FORBIDDEN)]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=skeleton,
        env={**os.environ, "PYTHONPATH": str(skeleton), "COLUMNS": "200"},  # noqa: TID251 -- a child's environment
        input=json.dumps(planted),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(planted, map(json.loads, done.stdout.splitlines()), strict=True))


def broken(output: str) -> set[str]:
    """Return the contracts that the linter found broken."""
    outcomes = OUTCOME.findall(output)
    assert len(outcomes) == len(CONTRACTS), output
    return {name for name, outcome in outcomes if outcome == "BROKEN"}


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project with empty modules, but for the imports that are allowed and protected."""
    folder = tmp_path_factory.mktemp("skeleton")
    for path in (ROOT / "components").rglob("*.py"):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text('"""Empty."""\n')
    for name, text in (ALLOWED | BACKWARD).items():
        assert (folder / name).is_file(), f"{name} is gone; name another module"
        (folder / name).write_text(text)
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return folder


def test_every_import_contract_is_kept(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_the_empty_modules_keep_every_contract(outputs: dict[tuple[str, str], str]) -> None:
    assert not broken(outputs["components/__init__.py", ""])


def test_every_contract_has_an_import_that_breaks_it() -> None:
    assert [one for one in CONTRACTS if not any(one.startswith(name) for name, _, _ in FORBIDDEN)] == []


@pytest.mark.parametrize(("contract", "name", "text"), FORBIDDEN, ids=lambda value: value.rpartition("/")[2][:30])
def test_a_contract_is_broken_by_what_it_forbids(
    contract: str, name: str, text: str, outputs: dict[tuple[str, str], str]
) -> None:
    assert any(one.startswith(contract) for one in broken(outputs[name, text])), outputs[name, text]
