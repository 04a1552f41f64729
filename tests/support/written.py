"""What a running system has written down so far: the records of its two journals."""

from collections.abc import Sequence
from typing import Any

from components.contracts.decisions import CauseCleared, CauseRaised
from components.contracts.orders import Filled
from components.contracts.topics import DECISIONS, ORDERS, Stream
from components.contracts.trading import Cause
from components.runtime import journal
from components.runtime.codec import decoder_of
from components.runtime.places import Places


def orders(places: Places) -> list[Any]:
    """Read execution's journal; empty before it is begun."""
    return _messages(places, "execution", ORDERS)


def decisions(places: Places) -> list[Any]:
    """Read risk's log; empty before it is begun."""
    return _messages(places, "risk", DECISIONS)


def fills(places: Places) -> int:
    """Count the executions that execution wrote down."""
    return sum(isinstance(record, Filled) for record in orders(places))


def raised(records: Sequence[Any]) -> set[Cause]:
    """Name the causes that were raised among these records."""
    return {record.cause for record in records if isinstance(record, CauseRaised)}


def standing(records: Sequence[Any]) -> set[Cause]:
    """Name the causes that were raised last, not cleared."""
    last = {record.cause: record for record in records if isinstance(record, CauseRaised | CauseCleared)}
    return {cause for cause, record in last.items() if isinstance(record, CauseRaised)}


def _messages(places: Places, owner: str, stream: Stream) -> list[Any]:
    folder, decode = places.journal(owner), decoder_of(stream)
    if not list(folder.glob("*.log")):
        return []
    return [decode(record.payload) for record in journal.read(folder)]
