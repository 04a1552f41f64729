"""Gathers what a system wrote, once nothing runs any longer: the venue's own books and both journals."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import httpx
import msgspec

from components.contracts.errors import CorruptData, TradingError, VenueUnavailable
from components.contracts.topics import DECISIONS, ORDERS, Stream
from components.contracts.values import format_decimal
from components.runtime import journal
from components.runtime.codec import message_decoder
from components.runtime.places import Paths
from components.xtrader.children import SANDBOX, VenueEndpoints
from components.xtrader.drills.verdict import Evidence, ListedOrder, Violation, ViolationFound, find_violations
from components.xtrader.yard import stop_with_parent

VENUE_RESPONSE_S_MAX: Final = 10.0
JOURNALS: Final = ("execution", "risk")


def check_orders(paths: Paths) -> tuple[list[ViolationFound], Evidence | None]:
    """Verify both journals, then hold them against the venue's books; without evidence nothing is proven."""
    damage = [ViolationFound(Violation.JOURNAL, f"{name}: {problem}") for name, problem in _journal_problems(paths)]
    try:
        evidence = gather_evidence(paths)
    except TradingError as error:
        return [*damage, ViolationFound(Violation.JOURNAL, str(error))], None
    return [*damage, *find_violations(evidence)], evidence


def gather_evidence(paths: Paths) -> Evidence:
    """Open the venue's books once more and read the journals from their first record."""
    with _restarted_venue(paths) as address:
        books = _venue_state(address)
    return Evidence(
        listed=tuple(ListedOrder(one["client_order_id"], Decimal(one["filled_qty"])) for one in books["orders"]),
        venue_positions={symbol: format_decimal(Decimal(quantity)) for symbol, quantity in books["positions"].items()},
        orders=_read_messages(paths, "execution", ORDERS),
        decisions=_read_messages(paths, "risk", DECISIONS),
    )


def _journal_problems(paths: Paths) -> Iterator[tuple[str, str]]:
    for name in JOURNALS:
        try:
            problem = journal.verify_journal(paths.journal(name)).problem
        except TradingError as error:
            problem = str(error)
        if problem is not None:
            yield name, problem


def _read_messages(paths: Paths, name: str, stream: Stream) -> tuple[Any, ...]:
    decode = message_decoder(stream)
    return tuple(decode(record.payload) for record in journal.read_records(paths.journal(name)))


@contextmanager
def _restarted_venue(paths: Paths) -> Iterator[VenueEndpoints]:
    """Run the venue on its own state, with a market that stands still."""
    command = SANDBOX.command("--state", str(paths.state / SANDBOX.name), "--speed", "0", "--json")
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
            yield _parse_endpoints(line)
        finally:
            venue.terminate()


def _parse_endpoints(line: bytes) -> VenueEndpoints:
    try:
        return msgspec.json.decode(line, type=VenueEndpoints)
    except msgspec.MsgspecError as error:
        raise CorruptData(f"the venue's books could not be opened again: {error}") from error


def _venue_state(endpoints: VenueEndpoints) -> dict[str, Any]:
    try:
        found: dict[str, Any] = (
            httpx.get(f"{endpoints.admin_url}/state", timeout=VENUE_RESPONSE_S_MAX).raise_for_status().json()
        )
    except (httpx.HTTPError, json.JSONDecodeError) as error:
        raise VenueUnavailable(f"the venue's books at {endpoints.admin_url}: {error}") from error
    return found
