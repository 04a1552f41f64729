"""Our own things: configuration, run folder, locks, keys and seal, the model, the journals."""

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
from components.runtime import journal
from components.runtime.config import Settings
from components.runtime.places import Places, leaves_room
from components.runtime.secrets import read_seal, resolve
from components.signals.config import SignalsConfig
from components.signals.core.model import ModelCard, check_card
from components.signals.core.schema import SCHEMA
from components.xtrader.children import CHILDREN
from components.xtrader.doctor.finding import Finding, fine, stops_up, worth_knowing
from components.xtrader.holders import holder

HASH_BYTES: Final = 16
JOURNALS: Final = ("risk", "execution")
OTHERS_MAY: Final = 0o077


def run_folder(places: Places) -> Iterator[Finding]:
    """Look at the folder of the sockets: short enough, ours, private."""
    size = len(os.fsencode(places.run))
    if not leaves_room(places.run):
        yield stops_up("run folder", f"{places.run}: {size} bytes, too long for sockets", "set runtime.run_dir shorter")
    elif not places.run.exists():
        yield fine("run folder", f"{places.run}: not there yet, `up` makes it ({size} bytes)")
    else:
        yield _private("run folder", places.run)


def running(places: Places) -> Iterator[Finding]:
    """Look who is there already: an `up` is fine and would be refused a second time, a lone component is in its way."""
    up = holder(places.lock("up"))
    if up is not None:
        yield fine("processes", f"`xtrader up` runs here as process {up}; `xtrader down` stops it")
        return
    lone = {child.name: holder(places.lock(child.name)) for child in CHILDREN}
    held = {name: pid for name, pid in lone.items() if pid is not None}
    for name, pid in held.items():
        yield stops_up("processes", f"{name} runs by itself as process {pid}", f"kill {pid}")
    if not held:
        yield fine("processes", "nothing runs here")


def state_folder(places: Places) -> Iterator[Finding]:
    """Look at the folder of what survives."""
    if not places.state.exists():
        yield fine("state", f"{places.state}: not there yet, `up` makes it")
        return
    yield _usable("state", places.state)
    stop_file = places.state / "HALT"
    if stop_file.exists():
        yield worth_knowing("state", f"{stop_file} is there: execution sends nothing", f"rm {stop_file}")


def journals(places: Places) -> Iterator[tuple[Finding, int]]:
    """Read both journals from their beginning, as far as they are written by now; with the time of the last record."""
    for owner in JOURNALS:
        if not places.journal(owner).is_dir():
            continue
        count = newest_ns = 0
        try:
            for record in journal.read(places.journal(owner)):
                count, newest_ns = count + 1, max(newest_ns, record.at_ns)
        except TradingError as error:
            mend = "xtrader journal verify names the record; xtrader up --fresh sets all state aside and begins anew"
            yield stops_up("journals", f"{owner}: {error}", mend), newest_ns
        else:
            yield fine("journals", f"{owner}: {count} records, chain whole"), newest_ns


def seal(places: Places) -> Finding:
    """Look at the key that risk and execution share."""
    if not places.seal().exists():
        return fine("seal", f"{places.seal()}: not there yet, `up` makes it")
    try:
        read_seal(places)
    except ConfigError as error:
        return stops_up("seal", *_split(str(error)))
    return fine("seal", f"{places.seal()}: there, private, of the right length")


def venue_keys(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Resolve the references to the venue's keys, unless the sandbox brings its own."""
    if settings.places.env == "dev":
        yield fine("keys", "the sandbox brings its own")
        return
    alpaca = settings.table("execution", ExecutionConfig).alpaca
    data = settings.table("market_data", MarketDataConfig).alpaca
    for reference in dict.fromkeys((alpaca.key, alpaca.secret, data.key, data.secret)):
        try:
            resolve(reference, root=settings.places.root, environ=environ)
        except ConfigError as error:
            yield stops_up("keys", *_split(str(error)))
        else:
            yield fine("keys", f"{reference}: there")


def model(settings: Settings) -> Finding:
    """Hold the model's file and its features against its card."""
    card = settings.places.root / settings.table("signals", SignalsConfig).model
    try:
        found = ModelCard.model_validate(tomllib.loads(card.read_text(encoding="utf-8")))
        content = (card.parent / found.file).read_bytes()
        check_card(found, SCHEMA, blake2b(content, digest_size=HASH_BYTES).hexdigest(), str(card))
    except (OSError, ValueError, ValidationError, ConfigError) as error:
        first = str(error).partition("\n")[0]
        return stops_up("model", first, "set signals.model to a card that belongs to its file, or train it again")
    return fine("model", f"{found.name} version {found.version}: file and features are what its card says")


def _private(subject: str, folder: Path) -> Finding:
    found = folder.lstat()
    if found.st_uid != os.geteuid():
        return stops_up(subject, f"{folder} belongs to user {found.st_uid}", f"move {folder} away")
    if found.st_mode & OTHERS_MAY:
        return stops_up(subject, f"{folder}: others may enter it", f"chmod 700 {folder}")
    return fine(subject, f"{folder}: private")


def _usable(subject: str, folder: Path) -> Finding:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return stops_up(
            subject, f"{folder}: user {os.geteuid()} may not write there", f"chown -R {os.geteuid()} {folder}"
        )
    return fine(subject, f"{folder}: writable")


def _split(message: str) -> tuple[str, str]:
    """Separate what is wrong from the advice behind it."""
    found, _, mend = message.partition("; ")
    return found, mend or "see the configuration: xtrader config show --origins"
