"""Finds the story of an order in both journals by any of its names; nothing needs to run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from components.contracts.decisions import Decision, HandoverRefused
from components.contracts.errors import DamagedData, UsageError
from components.contracts.orders import IntentReceived
from components.contracts.topics import DECISIONS, ORDERS, Stream
from components.runtime import journal
from components.runtime.codec import FrameRefused, decoder_of
from components.runtime.places import Places
from components.xtrader.explain.story import Step, Story, names_of

LAST: Final = "last"
TAG_OF_RECEIVED: Final = b"IntentReceived"


def find(places: Places, wanted: str) -> Story | None:
    """Look for a client order id, an intent id, a signal id or the word `last`; None where no journal knows it."""
    name = _last_order(places) if wanted == LAST else wanted
    if not name:
        return None
    story = Story(name, steps=_events(places, name))
    _add_decision(places, story, story.intent.intent_id if story.intent else name)
    if story.decision is not None and not story.steps:
        story.steps = _events(places, story.decision.intent.intent_id)
    return story if story.decision or story.steps else None


def _last_order(places: Places) -> str | None:
    last = None
    for _, payload in _payloads(places.journal("execution")):
        if TAG_OF_RECEIVED in payload:
            last = payload
    received = None if last is None else decoder_of(ORDERS)(last)
    return received.client_order_id if isinstance(received, IntentReceived) else None


def _events(places: Places, name: str) -> list[Step]:
    """Collect what execution wrote under this client order id, or under every attempt of this intent."""
    mentions = _mentions(places.journal("execution"), ORDERS, name)
    return [Step(sequence, event) for sequence, event in mentions if name in names_of(event)]


def _add_decision(places: Places, story: Story, name: str) -> None:
    """Look under the name itself, which may be a signal's, and under the signal that an intent's name begins with."""
    for signal_id in (name, name.rpartition("-")[0]):
        if not signal_id or story.decision is not None:
            continue
        for sequence, message in _mentions(places.journal("risk"), DECISIONS, signal_id):
            if name not in names_of(message):
                continue
            if isinstance(message, Decision):
                story.decision, story.decision_sequence = message, sequence
            elif isinstance(message, HandoverRefused):
                story.steps.append(Step(sequence, message))


def _mentions(folder: Path, stream: Stream, name: str) -> Iterator[tuple[int, Any]]:
    """Decode only the records whose bytes hold the name: an id travels as it is written."""
    decode, needle = decoder_of(stream), name.encode()
    for sequence, payload in _payloads(folder):
        if needle in payload:
            try:
                yield sequence, decode(payload)
            except FrameRefused as error:
                raise DamagedData(f"{folder}: record {sequence}: {error.detail}") from error


def _payloads(folder: Path) -> Iterator[tuple[int, bytes]]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no journal yet; nothing was traded on this state")
    for record in journal.read(folder):
        yield record.sequence, record.payload
