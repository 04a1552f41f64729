"""Checks of the installation find what would prevent `up` from starting, each with a fix."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.runtime.config.secrets import create_seal_key
from components.runtime.config.settings import read_layers
from components.runtime.filesystem import REAL_DISK
from components.runtime.paths import Paths
from components.xtrader.configuration import table_models
from components.xtrader.doctor import installation
from components.xtrader.doctor.finding import Finding, Severity
from tests.support.configuration_folder import shipped_configuration
from tests.support.order_records import decision, paths_at, write_journal


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_at(tmp_path)


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


def test_a_blocker_names_its_fix(paths: Paths) -> None:
    paths.run.mkdir(mode=0o755)
    found = only(list(installation.check_run_dir(paths)))
    assert found.is_blocker
    assert found.text_lines()[1].endswith(f"fix: chmod 700 {paths.run}")


def test_a_run_dir_that_is_too_long_for_sockets_is_a_blocker(paths: Paths) -> None:
    found = only(list(installation.check_run_dir(replace(paths, run=paths.root / ("x" * 100)))))
    assert found.is_blocker
    assert "runtime.run_dir" in found.fix


def test_a_seal_key_that_others_may_read_is_a_blocker(paths: Paths) -> None:
    assert not installation.check_seal_key(paths).is_blocker
    create_seal_key(paths)
    assert not installation.check_seal_key(paths).is_blocker
    paths.seal_key().chmod(0o644)
    assert installation.check_seal_key(paths).fix == f"run: chmod 600 {paths.seal_key()}"


def test_a_corrupt_journal_is_a_blocker(paths: Paths) -> None:
    write_journal(paths, "risk", decision())
    write_journal(paths, "risk", decision())
    assert [one.severity for one, _ in installation.check_journals(paths)] == [Severity.OK]
    (segment,) = paths.journal("risk").glob("*.log*")
    content = bytearray(segment.read_bytes())
    content[len(content) // 4] ^= 1
    segment.write_bytes(content)
    found, _ = only_pair(list(installation.check_journals(paths)))
    assert found.is_blocker
    assert "--fresh" in found.fix


def only_pair(found: list[tuple[Finding, int]]) -> tuple[Finding, int]:
    (pair,) = found
    return pair


def test_a_component_that_runs_alone_is_a_blocker(paths: Paths) -> None:
    paths.create_run_dir()
    assert not only(list(installation.check_running_processes(paths))).is_blocker
    lock = REAL_DISK.lock(paths.lock("risk"))
    assert only(list(installation.check_running_processes(paths))).is_blocker
    REAL_DISK.close(lock)


def test_a_halt_file_is_a_warning(paths: Paths) -> None:
    paths.state.mkdir(parents=True)
    (paths.state / "HALT").touch()
    assert [one.severity for one in installation.check_state_dir(paths)] == [Severity.OK, Severity.WARNING]


def test_missing_keys_are_blockers_in_prod_only(tmp_path: Path) -> None:
    folder = shipped_configuration(tmp_path)
    dev = read_layers(folder.environ()).validate(table_models())
    prod = read_layers(folder.environ(XTRADER_ENV="prod")).validate(table_models())
    assert not any(one.is_blocker for one in installation.check_venue_keys(dev, {}))
    findings = list(installation.check_venue_keys(prod, {}))
    assert all(one.is_blocker for one in findings)
    assert findings[0].fix == "run: export APCA_API_KEY_ID=…"


def test_a_model_that_does_not_match_its_card_is_a_blocker(tmp_path: Path) -> None:
    folder = shipped_configuration(tmp_path)
    assert installation.check_model(read_layers(folder.environ()).validate(table_models())).is_blocker
