"""The doctor finds what would keep `up` from running, and each such finding says how to mend it."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from components.runtime.config import read_layers
from components.runtime.disk import REAL_DISK
from components.runtime.places import Places
from components.runtime.secrets import make_seal
from components.xtrader.doctor import house, machine
from components.xtrader.doctor.finding import Finding, Severity
from components.xtrader.schemas import models
from tests.support.configurations import shipped_configuration
from tests.support.messages import AT_NS
from tests.unit.xtrader.tale import decision, places_at, write_journal

NOW_NS = 1_800_000_000_000_000_000
GIGABYTE = 1_000_000_000


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return places_at(tmp_path)


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


def test_what_stops_up_says_how_to_mend_it(places: Places) -> None:
    places.run.mkdir(mode=0o755)
    found = only(list(house.run_folder(places)))
    assert found.stops
    assert found.lines()[1].endswith(f"mend: chmod 700 {places.run}")


def test_an_old_python_stops_up() -> None:
    assert machine.python((3, 10)).stops
    assert not machine.python((3, 11)).stops


@pytest.mark.parametrize(
    ("free_bytes", "severity"),
    [
        (100 * GIGABYTE, Severity.FINE),
        (GIGABYTE // 2, Severity.WORTH_KNOWING),
        (1_000_000, Severity.STOPS_UP),
    ],
)
def test_a_disk_is_judged_by_what_is_free(free_bytes: int, severity: Severity) -> None:
    assert machine.free_space(Path("/x"), free_bytes).severity is severity


def test_a_state_folder_that_is_not_there_yet_is_judged_by_the_one_above(places: Places) -> None:
    assert machine.nearest_existing(places.state) == places.root
    assert not any(one.stops for one in machine.disk(places.state))
    assert list(places.root.iterdir()) == []


def test_a_folder_that_cannot_be_written_stops_up() -> None:
    found = only(list(machine.disk(Path("/proc/xtrader"))))
    assert found.stops
    assert "runtime.state_dir" in found.mend


def test_a_clock_is_held_against_the_calendar_the_journals_and_the_kernel() -> None:
    assert machine.clock(0, None, 0).stops
    assert machine.clock(NOW_NS, NOW_NS + 1, 0).severity is Severity.WORTH_KNOWING
    assert machine.clock(NOW_NS, None, machine.TIME_ERROR).severity is Severity.WORTH_KNOWING
    assert machine.clock(NOW_NS, AT_NS, 0).severity is Severity.FINE


def test_a_held_port_names_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        number = held.getsockname()[1]
        found = machine.port("127.0.0.1", number)
    assert "held by process" in found.found
    assert machine.port("127.0.0.1", number).severity is Severity.FINE


def test_a_run_path_that_is_too_long_for_sockets_stops_up(places: Places) -> None:
    found = only(list(house.run_folder(replace(places, run=places.root / ("x" * 100)))))
    assert found.stops
    assert "runtime.run_dir" in found.mend


def test_a_seal_that_others_may_read_stops_up(places: Places) -> None:
    assert not house.seal(places).stops
    make_seal(places)
    assert not house.seal(places).stops
    places.seal().chmod(0o644)
    assert house.seal(places).mend == f"run: chmod 600 {places.seal()}"


def test_a_damaged_journal_stops_up(places: Places) -> None:
    write_journal(places, "risk", decision())
    write_journal(places, "risk", decision())
    assert [one.severity for one, _ in house.journals(places)] == [Severity.FINE]
    (segment,) = places.journal("risk").glob("*.log*")
    content = bytearray(segment.read_bytes())
    content[len(content) // 4] ^= 1
    segment.write_bytes(content)
    found, _ = only_pair(list(house.journals(places)))
    assert found.stops
    assert "--fresh" in found.mend


def only_pair(found: list[tuple[Finding, int]]) -> tuple[Finding, int]:
    (pair,) = found
    return pair


def test_a_component_that_runs_by_itself_is_in_the_way(places: Places) -> None:
    places.make()
    assert not only(list(house.running(places))).stops
    lock = REAL_DISK.lock(places.lock("risk"))
    assert only(list(house.running(places))).stops
    REAL_DISK.close(lock)


def test_a_stop_file_is_worth_knowing(places: Places) -> None:
    places.state.mkdir(parents=True)
    (places.state / "HALT").touch()
    assert [one.severity for one in house.state_folder(places)] == [Severity.FINE, Severity.WORTH_KNOWING]


def test_missing_keys_stop_up_in_prod_only(tmp_path: Path) -> None:
    folder = shipped_configuration(tmp_path)
    dev = read_layers(folder.environ()).check(models())
    prod = read_layers(folder.environ(XTRADER_ENV="prod")).check(models())
    assert not any(one.stops for one in house.venue_keys(dev, {}))
    findings = list(house.venue_keys(prod, {}))
    assert all(one.stops for one in findings)
    assert findings[0].mend == "run: export APCA_API_KEY_ID=…"


def test_a_model_that_is_not_its_card_stops_up(tmp_path: Path) -> None:
    folder = shipped_configuration(tmp_path)
    assert house.model(read_layers(folder.environ()).check(models())).stops
