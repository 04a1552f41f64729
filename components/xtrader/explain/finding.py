"""Finds the story of an order in both journals by any of its names; nothing needs to run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from components.contracts.decisions import CommandRejected, Decision
from components.contracts.errors import CorruptData, UsageError
from components.contracts.orders import IntentReceived
from components.contracts.topics import DECISIONS, ORDERS, Stream
from components.runtime import journal
from components.runtime.codec import InvalidFrame, message_decoder
from components.runtime.places import Paths
from components.xtrader.explain.story import HistoryEvent, OrderHistory, identifiers_of

LAST: Final = "last"
INTENT_RECEIVED_TAG: Final = b"IntentReceived"


def find_history(paths: Paths, order_id: str) -> OrderHistory | None:
    """Look for a client order id, an intent id, a signal id or the word `last`; None where no journal knows it."""
    name = _last_client_order_id(paths) if order_id == LAST else order_id
    if not name:
        return None
    story = OrderHistory(name, events=_events(paths, name))
    _add_decision(paths, story, story.intent.intent_id if story.intent else name)
    if story.decision is not None and not story.events:
        story.events = _events(paths, story.decision.intent.intent_id)
    return story if story.decision or story.events else None


def _last_client_order_id(paths: Paths) -> str | None:
    last = None
    for _, payload in _payloads(paths.journal("execution")):
        if INTENT_RECEIVED_TAG in payload:
            last = payload
    received = None if last is None else message_decoder(ORDERS)(last)
    return received.client_order_id if isinstance(received, IntentReceived) else None


def _events(paths: Paths, name: str) -> list[HistoryEvent]:
    """Collect what execution wrote under this client order id, or under every attempt of this intent."""
    mentions = _records_containing(paths.journal("execution"), ORDERS, name)
    return [HistoryEvent(sequence, event) for sequence, event in mentions if name in identifiers_of(event)]


def _add_decision(paths: Paths, history: OrderHistory, name: str) -> None:
    """Look under the name itself, which may be a signal's, and under the signal that an intent's name begins with."""
    for signal_id in (name, name.rpartition("-")[0]):
        if not signal_id or history.decision is not None:
            continue
        for sequence, message in _records_containing(paths.journal("risk"), DECISIONS, signal_id):
            if name not in identifiers_of(message):
                continue
            if isinstance(message, Decision):
                history.decision, history.decision_sequence = message, sequence
            elif isinstance(message, CommandRejected):
                history.events.append(HistoryEvent(sequence, message))


def _records_containing(folder: Path, stream: Stream, name: str) -> Iterator[tuple[int, Any]]:
    """Decode only the records whose bytes hold the name: an id travels as it is written."""
    decode, needle = message_decoder(stream), name.encode()
    for sequence, payload in _payloads(folder):
        if needle in payload:
            try:
                yield sequence, decode(payload)
            except InvalidFrame as error:
                raise CorruptData(f"{folder}: record {sequence}: {error.detail}") from error


def _payloads(folder: Path) -> Iterator[tuple[int, bytes]]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no journal yet; nothing was traded on this state")
    for record in journal.read_records(folder):
        yield record.sequence, record.payload
