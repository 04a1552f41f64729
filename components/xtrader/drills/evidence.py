"""Gathers what a system wrote, once nothing runs any longer: the venue's own books and both journals."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import httpx
import msgspec

from components.contracts.errors import DamagedData, TradingError, VenueUnavailable
from components.contracts.topics import DECISIONS, ORDERS, Stream
from components.contracts.values import canonical
from components.runtime import journal
from components.runtime.codec import decoder_of
from components.runtime.places import Places
from components.xtrader.children import SANDBOX, VenueAddress
from components.xtrader.drills.verdict import Evidence, Finding, Flaw, VenueOrder, findings
from components.xtrader.yard import stop_with_parent

VENUE_S_MAX: Final = 10.0
JOURNALS: Final = ("execution", "risk")


def judged(places: Places) -> tuple[list[Finding], Evidence | None]:
    """Verify both journals, then hold them against the venue's books; without evidence nothing is proven."""
    damage = [Finding(Flaw.JOURNAL, f"{name}: {problem}") for name, problem in _damage(places)]
    try:
        evidence = gather(places)
    except TradingError as error:
        return [*damage, Finding(Flaw.JOURNAL, str(error))], None
    return [*damage, *findings(evidence)], evidence


def gather(places: Places) -> Evidence:
    """Open the venue's books once more and read the journals from their first record."""
    with _reopened(places) as address:
        books = _venue_state(address)
    return Evidence(
        listed=tuple(VenueOrder(one["client_order_id"], Decimal(one["filled_qty"])) for one in books["orders"]),
        venue_positions={symbol: canonical(Decimal(quantity)) for symbol, quantity in books["positions"].items()},
        orders=_messages(places, "execution", ORDERS),
        decisions=_messages(places, "risk", DECISIONS),
    )


def _damage(places: Places) -> Iterator[tuple[str, str]]:
    for name in JOURNALS:
        try:
            problem = journal.verify(places.journal(name)).problem
        except TradingError as error:
            problem = str(error)
        if problem is not None:
            yield name, problem


def _messages(places: Places, name: str, stream: Stream) -> tuple[Any, ...]:
    decode = decoder_of(stream)
    return tuple(decode(record.payload) for record in journal.read(places.journal(name)))


@contextmanager
def _reopened(places: Places) -> Iterator[VenueAddress]:
    """Run the venue on its own state, with a market that stands still."""
    command = SANDBOX.command("--state", str(places.state / SANDBOX.name), "--speed", "0", "--json")
    venue = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        preexec_fn=stop_with_parent,  # noqa: PLW1509  # one thread here
    )
    with venue:
        try:
            line = venue.stdout.readline() if venue.stdout else b""
            yield _address(line)
        finally:
            venue.terminate()


def _address(line: bytes) -> VenueAddress:
    try:
        return msgspec.json.decode(line, type=VenueAddress)
    except msgspec.MsgspecError as error:
        raise DamagedData(f"the venue's books could not be opened again: {error}") from error


def _venue_state(address: VenueAddress) -> dict[str, Any]:
    try:
        found: dict[str, Any] = httpx.get(f"{address.admin_url}/state", timeout=VENUE_S_MAX).raise_for_status().json()
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        raise VenueUnavailable(f"the venue's books at {address.admin_url}: {error}") from error
    return found
