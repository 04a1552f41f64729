"""Our own things: configuration, run folder, locks, keys and seal, the model, the journals.

One visit: everything that is looked at, in the order in which `up` would trip over it.
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
from components.runtime.journal import reader
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


def check_run_dir(paths: Paths) -> Iterator[Finding]:
    """Look at the folder of the sockets: short enough, ours, private."""
    size = len(os.fsencode(paths.run))
    if not fits_socket_paths(paths.run):
        yield blocker("run folder", f"{paths.run}: {size} bytes, too long for sockets", "set runtime.run_dir shorter")
    elif not paths.run.exists():
        yield ok("run folder", f"{paths.run}: not there yet, `up` makes it ({size} bytes)")
    else:
        yield _check_private("run folder", paths.run)


def check_running_processes(paths: Paths) -> Iterator[Finding]:
    """Look who is there already: an `up` is fine and would be refused a second time, a lone component is in its way."""
    up = lock_holder(paths.lock("up"))
    if up is not None:
        yield ok("processes", f"`xtrader up` runs here as process {up}; `xtrader down` stops it")
        return
    lone = {child.name: lock_holder(paths.lock(child.name)) for child in PROCESSES}
    held = {name: pid for name, pid in lone.items() if pid is not None}
    for name, pid in held.items():
        yield blocker("processes", f"{name} runs by itself as process {pid}", f"kill {pid}")
    if not held:
        yield ok("processes", "nothing runs here")


def check_state_dir(paths: Paths) -> Iterator[Finding]:
    """Look at the folder of what survives."""
    if not paths.state.exists():
        yield ok("state", f"{paths.state}: not there yet, `up` makes it")
        return
    yield _check_writable("state", paths.state)
    stop_file = paths.state / "HALT"
    if stop_file.exists():
        yield warning("state", f"{stop_file} is there: execution sends nothing", f"rm {stop_file}")


def check_journals(paths: Paths) -> Iterator[tuple[Finding, int]]:
    """Read both journals from their beginning, as far as they are written by now; with the time of the last record."""
    for owner in JOURNALS:
        if not paths.journal(owner).is_dir():
            continue
        count = newest_ns = 0
        try:
            for record in reader.read_records(paths.journal(owner)):
                count, newest_ns = count + 1, max(newest_ns, record.at_ns)
        except TradingError as error:
            mend = "xtrader journal verify names the record; xtrader up --fresh sets all state aside and begins anew"
            yield blocker("journals", f"{owner}: {error}", mend), newest_ns
        else:
            yield ok("journals", f"{owner}: {count} records, chain whole"), newest_ns


def check_seal_key(paths: Paths) -> Finding:
    """Look at the key that risk and execution share."""
    if not paths.seal_key().exists():
        return ok("seal", f"{paths.seal_key()}: not there yet, `up` makes it")
    try:
        read_seal_key(paths)
    except ConfigError as error:
        return blocker("seal", *_split_advice(str(error)))
    return ok("seal", f"{paths.seal_key()}: there, private, of the right length")


def check_venue_keys(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Resolve the references to the venue's keys, unless the sandbox brings its own."""
    if settings.paths.env == "dev":
        yield ok("keys", "the sandbox brings its own")
        return
    alpaca = settings.table("execution", ExecutionConfig).alpaca
    data = settings.table("market_data", MarketDataConfig).alpaca
    for reference in dict.fromkeys((alpaca.key, alpaca.secret, data.key, data.secret)):
        try:
            resolve(reference, root=settings.paths.root, environ=environ)
        except ConfigError as error:
            yield blocker("keys", *_split_advice(str(error)))
        else:
            yield ok("keys", f"{reference}: there")


def check_model(settings: Settings) -> Finding:
    """Hold the model's file and its features against its card."""
    card = settings.paths.root / settings.table("signals", SignalsConfig).model
    try:
        found = ModelCard.model_validate(tomllib.loads(card.read_text(encoding="utf-8")))
        content = (card.parent / found.file).read_bytes()
        check_card(found, SCHEMA, blake2b(content, digest_size=HASH_BYTES).hexdigest(), str(card))
    except (OSError, ValueError, ValidationError, ConfigError) as error:
        first = str(error).partition("\n")[0]
        return blocker("model", first, "set signals.model to a card that belongs to its file, or train it again")
    return ok("model", f"{found.name} version {found.version}: file and features are what its card says")


def _check_private(subject: str, folder: Path) -> Finding:
    found = folder.lstat()
    if found.st_uid != os.geteuid():
        return blocker(subject, f"{folder} belongs to user {found.st_uid}", f"move {folder} away")
    if found.st_mode & GROUP_AND_OTHER_BITS:
        return blocker(subject, f"{folder}: others may enter it", f"chmod 700 {folder}")
    return ok(subject, f"{folder}: private")


def _check_writable(subject: str, folder: Path) -> Finding:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return blocker(
            subject, f"{folder}: user {os.geteuid()} may not write there", f"chown -R {os.geteuid()} {folder}"
        )
    return ok(subject, f"{folder}: writable")


def _split_advice(message: str) -> tuple[str, str]:
    """Separate what is wrong from the advice behind it."""
    found, _, mend = message.partition("; ")
    return found, mend or "see the configuration: xtrader config show --origins"


def run_checks() -> list[Finding]:
    """Look at everything; without a configuration that is right, only at what needs none."""
    now_ns = SystemClock().now_ns()
    findings = [machine.check_python()]
    try:
        layers = read_layers()
        settings = layers.validate(table_models())
    except ConfigError as error:
        mend = "xtrader config schema tells what each key may be"
        findings += [blocker("config", line, mend) for line in str(error).splitlines()]
        return [*findings, machine.check_clock(now_ns, None)]
    return [*findings, *_configured_checks(layers, settings, now_ns)]


def _configured_checks(layers: ConfigLayers, settings: Settings, now_ns: int) -> Iterator[Finding]:
    places, runtime = settings.paths, settings.runtime
    yield ok("config", f"{places.env}/{places.account} from {layers.folder}: every table is right")
    yield from machine.check_disk(places.state)
    yield from check_state_dir(places)
    yield from check_run_dir(places)
    yield from check_running_processes(places)
    yield machine.check_port(runtime.health_host, runtime.health_port)
    scans = list(check_journals(places))
    yield machine.check_clock(now_ns, max((newest for _, newest in scans), default=None))
    yield from check_venue_keys(settings, layers.environ)
    yield check_seal_key(places)
    yield check_model(settings)
    yield from (finding for finding, _ in scans)
