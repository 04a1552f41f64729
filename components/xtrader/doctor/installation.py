"""Checks of the installation: configuration, folders, locks, keys, the model, the journals.

`run_checks` runs these and the checks of the machine, in the order in which `up` would hit the problems.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from components.contracts.errors import ConfigError, TradingError
from components.execution.config import ExecutionConfig
from components.market_data.config import MarketDataConfig
from components.runtime.clock import SystemClock
from components.runtime.config.secrets import read_seal_key, resolve
from components.runtime.config.settings import ConfigLayers, Settings, read_layers
from components.runtime.filesystem import lock_holder
from components.runtime.journal.reader import read_records
from components.runtime.paths import Paths, fits_socket_paths
from components.signals.config import SignalsConfig
from components.signals.core.features import SCHEMA
from components.signals.core.model import ModelCard, check_card
from components.xtrader.configuration import table_models
from components.xtrader.doctor import machine
from components.xtrader.doctor.finding import Finding, blocker, ok, warning
from components.xtrader.supervisor.processes import PROCESSES

HASH_BYTES: Final = 16
JOURNALS: Final = ("risk", "execution")
GROUP_AND_OTHER_BITS: Final = 0o077


def run_checks() -> list[Finding]:
    """Run all checks. With an invalid configuration, only those that need none."""
    now_ns = SystemClock().now_ns()
    findings = [machine.check_python()]
    try:
        layers = read_layers()
        settings = layers.validate(table_models())
    except ConfigError as error:
        fix = "xtrader config schema prints the type and range of each key"
        findings += [blocker("config", line, fix) for line in str(error).splitlines()]
        return [*findings, machine.check_clock(now_ns, None)]
    return [*findings, *_configured_checks(layers, settings, now_ns)]


def _configured_checks(layers: ConfigLayers, settings: Settings, now_ns: int) -> Iterator[Finding]:
    paths, runtime = settings.paths, settings.runtime
    yield ok("config", f"{paths.env}/{paths.account} from {layers.folder}: every table is valid")
    yield from machine.check_disk(paths.state)
    yield from check_state_dir(paths)
    yield from check_run_dir(paths)
    yield from check_running_processes(paths)
    yield machine.check_port(runtime.health_host, runtime.health_port)
    scans = list(check_journals(paths))
    yield machine.check_clock(now_ns, max((newest for _, newest in scans), default=None))
    yield from check_venue_keys(settings, layers.environ)
    yield check_seal_key(paths)
    yield check_model(settings)
    yield from (finding for finding, _ in scans)


def check_run_dir(paths: Paths) -> Iterator[Finding]:
    """Check the folder of the sockets: its path fits a socket address, this user owns it, and it is private."""
    size = len(os.fsencode(paths.run))
    if not fits_socket_paths(paths.run):
        yield blocker("run folder", f"{paths.run}: {size} bytes, too long for sockets", "set a shorter runtime.run_dir")
    elif not paths.run.exists():
        yield ok("run folder", f"{paths.run}: does not exist yet, `up` creates it ({size} bytes)")
    else:
        yield _check_private("run folder", paths.run)


def check_running_processes(paths: Paths) -> Iterator[Finding]:
    """Check which processes run.

    A running `up` is ok (a second one would be refused); a component run alone blocks `up`.
    """
    up = lock_holder(paths.lock("up"))
    if up is not None:
        yield ok("processes", f"`xtrader up` runs as process {up}; `xtrader down` stops it")
        return
    standalone = {spec.name: lock_holder(paths.lock(spec.name)) for spec in PROCESSES}
    running = {name: pid for name, pid in standalone.items() if pid is not None}
    for name, pid in running.items():
        yield blocker("processes", f"{name} runs alone as process {pid}", f"kill {pid}")
    if not running:
        yield ok("processes", "none running")


def check_state_dir(paths: Paths) -> Iterator[Finding]:
    """Check the state folder, and whether it holds a HALT file."""
    if not paths.state.exists():
        yield ok("state", f"{paths.state}: does not exist yet, `up` creates it")
        return
    yield _check_writable("state", paths.state)
    halt_file = paths.state / "HALT"
    if halt_file.exists():
        yield warning("state", f"{halt_file} exists: execution sends no orders", f"rm {halt_file}")


def check_journals(paths: Paths) -> Iterator[tuple[Finding, int]]:
    """Read both journals completely; return a finding for each, with the time of its last record."""
    for owner in JOURNALS:
        if not paths.journal(owner).is_dir():
            continue
        count = newest_ns = 0
        try:
            for record in read_records(paths.journal(owner)):
                count, newest_ns = count + 1, max(newest_ns, record.at_ns)
        except TradingError as error:
            fix = "xtrader journal verify names the record; xtrader up --fresh archives all state and starts without it"
            yield blocker("journals", f"{owner}: {error}", fix), newest_ns
        else:
            yield ok("journals", f"{owner}: {count} records, chain intact"), newest_ns


def check_seal_key(paths: Paths) -> Finding:
    """Check the key that risk and execution share."""
    if not paths.seal_key().exists():
        return ok("seal key", f"{paths.seal_key()}: does not exist yet, `up` creates it")
    try:
        read_seal_key(paths)
    except ConfigError as error:
        return blocker("seal key", *_split_advice(str(error)))
    return ok("seal key", f"{paths.seal_key()}: exists, private, correct length")


def check_venue_keys(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Resolve the references to the venue's API keys. In dev the sandbox generates its own."""
    if settings.paths.env == "dev":
        yield ok("keys", "the sandbox generates its own")
        return
    alpaca = settings.table("execution", ExecutionConfig).alpaca
    data = settings.table("market_data", MarketDataConfig).alpaca
    for reference in dict.fromkeys((alpaca.key, alpaca.secret, data.key, data.secret)):
        try:
            resolve(reference, root=settings.paths.root, environ=environ)
        except ConfigError as error:
            yield blocker("keys", *_split_advice(str(error)))
        else:
            yield ok("keys", f"{reference}: found")


def check_model(settings: Settings) -> Finding:
    """Compare the model's file and features with its card."""
    card = settings.paths.root / settings.table("signals", SignalsConfig).model
    try:
        loaded = ModelCard.model_validate(tomllib.loads(card.read_text(encoding="utf-8")))
        content = (card.parent / loaded.file).read_bytes()
        check_card(loaded, SCHEMA, blake2b(content, digest_size=HASH_BYTES).hexdigest(), str(card))
    except (OSError, ValueError, ValidationError, ConfigError) as error:
        first = str(error).partition("\n")[0]
        return blocker("model", first, "set signals.model to a card that matches its file, or train the model again")
    return ok("model", f"{loaded.name} version {loaded.version}: file and features match its card")


def _check_private(subject: str, folder: Path) -> Finding:
    status = folder.lstat()
    if status.st_uid != os.geteuid():
        return blocker(subject, f"{folder} belongs to user {status.st_uid}", f"move {folder} away")
    if status.st_mode & GROUP_AND_OTHER_BITS:
        return blocker(subject, f"{folder}: other users may enter it", f"chmod 700 {folder}")
    return ok(subject, f"{folder}: private")


def _check_writable(subject: str, folder: Path) -> Finding:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return blocker(
            subject, f"{folder}: user {os.geteuid()} cannot write there", f"chown -R {os.geteuid()} {folder}"
        )
    return ok(subject, f"{folder}: writable")


def _split_advice(message: str) -> tuple[str, str]:
    """Split an error message into the problem and the advice after the semicolon."""
    problem, _, fix = message.partition("; ")
    return problem, fix or "see the configuration: xtrader config show --origins"
