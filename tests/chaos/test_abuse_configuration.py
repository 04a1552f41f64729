"""Mistakes before a start: one clear line, the right exit code, and nothing was changed."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from components.runtime.config.secrets import create_seal_key
from components.runtime.filesystem import REAL_DISK
from tests.support.startup_failures import KEYS, ExitResult, IsolatedInstallation, isolated_installation

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(120)]

COMPONENTS = ("market_data", "signals", "risk", "execution")
WITH_KEYS = ("market_data", "execution")
WITH_SEAL = ("risk", "execution")
WITH_JOURNAL = ("risk", "execution")
EVERYTHING = "xtrader"

WRONG_KEYS = {
    "market_data": ("market_data", "quote_age_max_ms", "quote_age_ms_max"),
    "signals": ("signals.strategy", "cooldown_ms", "cool_down_ms"),
    "risk": ("risk.limits", "order_notionl_max", "order_notional_max"),
    "execution": ("execution.request_budget", "order_per_minute", "orders_per_minute"),
}
WRONG_VALUES = {
    "market_data": ("market_data", "quote_age_ms_max", "5", "a whole number, at least 50 and at most 600000"),
    "signals": ("signals", "approval_timeout_ms", "0", "a whole number, at least 10 and at most 60000"),
    "risk": ("risk.limits", "order_notional_max", "-1", "a number, above 0 and at most 1000000000000"),
    "execution": ("execution.reconciliation", "interval_s", "301", "a whole number, at least 1 and at most 300"),
}
each_component = pytest.mark.parametrize("name", COMPONENTS)
alone_and_with_all = pytest.mark.parametrize("runs_all", [False, True], ids=["alone", "up"])


@pytest.fixture
def stage(tmp_path: Path) -> IsolatedInstallation:
    return isolated_installation(tmp_path)


@pytest.fixture
def sealed(stage: IsolatedInstallation) -> IsolatedInstallation:
    create_seal_key(stage.paths)
    return stage


@alone_and_with_all
@each_component
def test_a_misspelt_key_is_reported_with_its_file_and_the_likely_one(
    stage: IsolatedInstallation, name: str, *, runs_all: bool
) -> None:
    table, key, likely = WRONG_KEYS[name]
    put(stage, table, f"{key} = 1")
    ended = stage.run(EVERYTHING if runs_all else name)
    assert ended == ExitResult(78, [f"error: config/dev.toml: {table}.{key}: no such key (did you mean {likely}?)"])
    assert not stage.paths.state.exists()


@alone_and_with_all
@each_component
def test_a_value_out_of_range_is_reported_with_the_range(
    stage: IsolatedInstallation, name: str, *, runs_all: bool
) -> None:
    table, key, value, allowed = WRONG_VALUES[name]
    put(stage, table, f"{key} = {value}")
    ended = stage.run(EVERYTHING if runs_all else name)
    assert ended == ExitResult(78, [f"error: config/dev.toml: {table}.{key}: {value}: must be {allowed}"])
    assert not stage.paths.state.exists()


def test_a_table_that_nobody_owns_stops_everything(stage: IsolatedInstallation) -> None:
    stage.folder.add("dev", "[riks]\nx = 1")
    assert stage.run(EVERYTHING) == ExitResult(78, ["error: config/dev.toml: riks: no such table (did you mean risk?)"])


@pytest.mark.parametrize("variable", KEYS)
@pytest.mark.parametrize("name", WITH_KEYS)
def test_a_missing_key_of_the_venue_is_reported_by_its_name(
    sealed: IsolatedInstallation, name: str, variable: str
) -> None:
    ended = sealed.run(name, without=variable)
    assert ended == ExitResult(78, [f"error: env:{variable}: the variable is not set; run: export {variable}=…"])


def test_without_keys_the_paper_account_is_not_tried(stage: IsolatedInstallation) -> None:
    ended = stage.run(EVERYTHING, without="APCA_API_SECRET_KEY", XTRADER_ENV="prod")
    name = "APCA_API_SECRET_KEY"
    assert (ended.code, ended.messages[-1]) == (78, f"error: env:{name}: the variable is not set; run: export {name}=…")


@pytest.mark.parametrize("name", WITH_SEAL)
def test_a_missing_seal_is_reported_with_the_command_that_creates_it(stage: IsolatedInstallation, name: str) -> None:
    message = f"error: {stage.paths.seal_key()}: no such file; create the key with: xtrader config create-seal-key"
    assert stage.run(name) == ExitResult(78, [message])


@pytest.mark.parametrize("name", WITH_SEAL)
def test_a_seal_that_others_may_read_is_refused(sealed: IsolatedInstallation, name: str) -> None:
    seal = sealed.paths.seal_key()
    seal.chmod(0o644)
    assert sealed.run(name) == ExitResult(78, [f"error: file:{seal}: others may read it; run: chmod 600 {seal}"])


@pytest.mark.parametrize("name", [*COMPONENTS, "up"])
def test_a_held_lock_is_reported_with_the_pid_that_holds_it(sealed: IsolatedInstallation, name: str) -> None:
    places = sealed.paths
    places.create_run_dir()
    with closing_lock(places.lock(name)):
        ended = sealed.run(EVERYTHING if name == "up" else name)
    assert ended == ExitResult(75, [f"error: {places.lock(name)} is held by process {os.getpid()}"])


@pytest.mark.parametrize("name", WITH_JOURNAL)
def test_a_journal_that_another_writes_is_reported_with_the_pid(sealed: IsolatedInstallation, name: str) -> None:
    folder = sealed.paths.journal(name)
    folder.mkdir(parents=True, mode=0o700)
    with closing_lock(folder / "lock"):
        ended = sealed.run(name)
    assert ended == ExitResult(75, [f"error: {folder / 'lock'} is held by process {os.getpid()}"])


@each_component
def test_a_health_port_that_is_held_is_reported(sealed: IsolatedInstallation, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        ended = sealed.run(name, XTRADER__RUNTIME__HEALTH_PORT=port)
    assert (ended.code, len(ended.messages)) == (75, 1)
    assert ended.messages[0].startswith(f"error: port {port} on 127.0.0.1 is held by ")


def test_a_name_that_is_no_symbol_stops_everything_with_the_reason_in_the_log(sealed: IsolatedInstallation) -> None:
    ended = sealed.run(EVERYTHING, XTRADER__MARKET_DATA__SYMBOLS='["AAPL", "ABC123"]')
    assert ended.code == 1
    assert "sandbox exited (exit code 64); a restart would end the same way" in ended.messages
    assert "'ABC123' is not a symbol" in (sealed.paths.state / "logs" / "sandbox.log").read_text()


def put(stage: IsolatedInstallation, table: str, line: str) -> None:
    """Write a line into a table of dev.toml, replacing the same key."""
    text = (stage.folder.root / "config" / "dev.toml").read_text()
    lines = [one for one in text.splitlines() if one.split(" = ")[0] != line.split(" = ", maxsplit=1)[0]]
    head = f"[{table}]"
    if head not in lines:
        lines.append(head)
    lines.insert(lines.index(head) + 1, line)
    stage.folder.write("dev", "\n".join(lines))


@contextmanager
def closing_lock(path: Path) -> Iterator[None]:
    """Lock a file as another process of ours would."""
    lock = REAL_DISK.lock(path)
    try:
        yield
    finally:
        REAL_DISK.close(lock)
