"""The doctor finds what would keep `up` from running, and each such finding says how to mend it."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from components.runtime.config.secrets import create_seal_key
from components.runtime.config.settings import read_layers
from components.runtime.filesystem import REAL_DISK
from components.runtime.paths import Paths
from components.xtrader.configuration import table_models
from components.xtrader.doctor import installation, machine
from components.xtrader.doctor.finding import Finding, Severity
from tests.support.configuration_folder import shipped_configuration
from tests.support.order_records import decision, paths_at, write_journal
from tests.support.sample_messages import AT_NS

NOW_NS = 1_800_000_000_000_000_000


GIGABYTE = 1_000_000_000


@pytest.fixture
def places(tmp_path: Path) -> Paths:
    return paths_at(tmp_path)


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


def test_what_stops_up_says_how_to_mend_it(places: Paths) -> None:
    places.run.mkdir(mode=0o755)
    found = only(list(installation.check_run_dir(places)))
    assert found.is_blocker
    assert found.text_lines()[1].endswith(f"mend: chmod 700 {places.run}")


def test_an_old_python_stops_up() -> None:
    assert machine.check_python((3, 10)).is_blocker
    assert not machine.check_python((3, 11)).is_blocker


@pytest.mark.parametrize(
    ("free_bytes", "severity"),
    [
        (100 * GIGABYTE, Severity.OK),
        (GIGABYTE // 2, Severity.WARNING),
        (1_000_000, Severity.BLOCKER),
    ],
)
def test_a_disk_is_judged_by_what_is_free(free_bytes: int, severity: Severity) -> None:
    assert machine.check_free_space(Path("/x"), free_bytes).severity is severity


def test_a_state_folder_that_is_not_there_yet_is_judged_by_the_one_above(places: Paths) -> None:
    assert machine.nearest_existing(places.state) == places.root
    assert not any(one.is_blocker for one in machine.check_disk(places.state))
    assert list(places.root.iterdir()) == []


def test_a_folder_that_cannot_be_written_stops_up() -> None:
    found = only(list(machine.check_disk(Path("/proc/xtrader"))))
    assert found.is_blocker
    assert "runtime.state_dir" in found.fix


def test_a_clock_is_held_against_the_calendar_the_journals_and_the_kernel() -> None:
    assert machine.check_clock(0, None, 0).is_blocker
    assert machine.check_clock(NOW_NS, NOW_NS + 1, 0).severity is Severity.WARNING
    assert machine.check_clock(NOW_NS, None, machine.TIME_ERROR).severity is Severity.WARNING
    assert machine.check_clock(NOW_NS, AT_NS, 0).severity is Severity.OK


def test_a_held_port_names_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        number = held.getsockname()[1]
        found = machine.check_port("127.0.0.1", number)
    assert "held by process" in found.found
    assert machine.check_port("127.0.0.1", number).severity is Severity.OK


def test_a_run_path_that_is_too_long_for_sockets_stops_up(places: Paths) -> None:
    found = only(list(installation.check_run_dir(replace(places, run=places.root / ("x" * 100)))))
    assert found.is_blocker
    assert "runtime.run_dir" in found.fix


def test_a_seal_that_others_may_read_stops_up(places: Paths) -> None:
    assert not installation.check_seal_key(places).is_blocker
    create_seal_key(places)
    assert not installation.check_seal_key(places).is_blocker
    places.seal_key().chmod(0o644)
    assert installation.check_seal_key(places).fix == f"run: chmod 600 {places.seal_key()}"


def test_a_damaged_journal_stops_up(places: Paths) -> None:
    write_journal(places, "risk", decision())
    write_journal(places, "risk", decision())
    assert [one.severity for one, _ in installation.check_journals(places)] == [Severity.OK]
    (segment,) = places.journal("risk").glob("*.log*")
    content = bytearray(segment.read_bytes())
    content[len(content) // 4] ^= 1
    segment.write_bytes(content)
    found, _ = only_pair(list(installation.check_journals(places)))
    assert found.is_blocker
    assert "--fresh" in found.fix


def only_pair(found: list[tuple[Finding, int]]) -> tuple[Finding, int]:
    (pair,) = found
    return pair


def test_a_component_that_runs_by_itself_is_in_the_way(places: Paths) -> None:
    places.create_run_dir()
    assert not only(list(installation.check_running_processes(places))).is_blocker
    lock = REAL_DISK.lock(places.lock("risk"))
    assert only(list(installation.check_running_processes(places))).is_blocker
    REAL_DISK.close(lock)


def test_a_stop_file_is_worth_knowing(places: Paths) -> None:
    places.state.mkdir(parents=True)
    (places.state / "HALT").touch()
    assert [one.severity for one in installation.check_state_dir(places)] == [Severity.OK, Severity.WARNING]


def test_missing_keys_stop_up_in_prod_only(tmp_path: Path) -> None:
    folder = shipped_configuration(tmp_path)
    dev = read_layers(folder.environ()).validate(table_models())
    prod = read_layers(folder.environ(XTRADER_ENV="prod")).validate(table_models())
    assert not any(one.is_blocker for one in installation.check_venue_keys(dev, {}))
    findings = list(installation.check_venue_keys(prod, {}))
    assert all(one.is_blocker for one in findings)
    assert findings[0].fix == "run: export APCA_API_KEY_ID=…"


def test_a_model_that_is_not_its_card_stops_up(tmp_path: Path) -> None:
    folder = shipped_configuration(tmp_path)
    assert installation.check_model(read_layers(folder.environ()).validate(table_models())).is_blocker
