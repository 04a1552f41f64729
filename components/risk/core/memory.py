"""Which intents were judged, and what was answered: bounded, and sure of what it has forgotten."""

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct

from components.contracts.decisions import Verdict
from components.contracts.signals import Intent
from components.contracts.values import IntentId

CHUNK: Final = 256
CHUNKS: Final = 8
"""The last 1,792 to 2,048 intents are remembered: minutes of any strategy, about 7 MB."""

DIGEST_BYTES: Final = 16

_encode: Final = msgspec.msgpack.Encoder().encode


class Remembered(Struct, frozen=True, array_like=True, gc=False):
    """One answer, and the intent it was given to."""

    intent: Intent
    verdict: Verdict

    @property
    def digest(self) -> bytes:
        """Tell the intent apart from any other; worked out only when its id comes again."""
        return digest_of(self.intent)


class Memory(Struct, frozen=True, array_like=True, gc=False):
    """Answers in chunks by age, so that remembering one more copies a small dictionary and never all of them.

    Whatever was created at or before `forgotten_at_ns` may have been approved and forgotten.
    """

    young: dict[IntentId, Remembered] = {}
    old: tuple[dict[IntentId, Remembered], ...] = ()
    forgotten_at_ns: int = 0

    def find(self, intent_id: IntentId) -> Remembered | None:
        """Give what was answered to this intent id."""
        found = self.young.get(intent_id)
        if found is None:
            for chunk in self.old:
                if (found := chunk.get(intent_id)) is not None:
                    break
        return found


def digest_of(intent: Intent) -> bytes:
    """Tell an intent's content apart from any other."""
    return blake2b(_encode(intent), digest_size=DIGEST_BYTES).digest()


def remembering(memory: Memory, intent: Intent, verdict: Verdict) -> Memory:
    """Remember one more answer; the first answer given to an id stays the answer."""
    intent_id = intent.intent_id
    if memory.find(intent_id) is not None:
        return memory
    young = memory.young.copy()
    young[intent_id] = Remembered(intent, verdict)
    if len(young) < CHUNK:
        return Memory(young, memory.old, memory.forgotten_at_ns)
    return _turned(young, memory)


def _turned(full: dict[IntentId, Remembered], memory: Memory) -> Memory:
    old = (full, *memory.old)
    kept, dropped = old[: CHUNKS - 1], old[CHUNKS - 1 :]
    # A refusal that is forgotten does no harm: judged again, the intent is approved once at most.
    forgotten = (one.intent.created_at_ns for chunk in dropped for one in chunk.values() if one.verdict.allowed)
    return Memory({}, kept, max(memory.forgotten_at_ns, *forgotten, 0))
