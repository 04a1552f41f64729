"""The records of a running system's two journals."""

from collections.abc import Sequence
from typing import Any

from components.contracts.decisions import CauseCleared, CauseRaised
from components.contracts.orders import Filled
from components.contracts.streams import DECISIONS, ORDERS, Stream
from components.contracts.trading import Cause
from components.runtime.bus.codec import message_decoder
from components.runtime.journal import reader
from components.runtime.paths import Paths


def order_records(paths: Paths) -> list[Any]:
    """Return the records of execution's journal; empty before it exists."""
    return _messages(paths, "execution", ORDERS)


def decision_records(paths: Paths) -> list[Any]:
    """Return the records of risk's log; empty before it exists."""
    return _messages(paths, "risk", DECISIONS)


def fill_count(paths: Paths) -> int:
    """Return the number of fills in execution's journal."""
    return sum(isinstance(record, Filled) for record in order_records(paths))


def raised_causes(records: Sequence[Any]) -> set[Cause]:
    """Return the causes that were raised among these records."""
    return {record.cause for record in records if isinstance(record, CauseRaised)}


def active_causes(records: Sequence[Any]) -> set[Cause]:
    """Return the causes that were raised and not cleared since."""
    last = {record.cause: record for record in records if isinstance(record, CauseRaised | CauseCleared)}
    return {cause for cause, record in last.items() if isinstance(record, CauseRaised)}


def _messages(paths: Paths, owner: str, stream: Stream) -> list[Any]:
    folder, decode = paths.journal(owner), message_decoder(stream)
    if not list(folder.glob("*.log")):
        return []
    return [decode(record.payload) for record in reader.read_records(folder)]
