"""Which intents were judged, and what was answered: bounded, and sure of what it has forgotten."""

from hashlib import blake2b
from typing import Final

import msgspec
from msgspec import Struct

from components.contracts.decisions import ApprovalReply
from components.contracts.signals import Intent
from components.contracts.values import IntentId

CHUNK_SIZE: Final = 256
CHUNK_COUNT: Final = 8
"""The last 1,792 to 2,048 intents are remembered: minutes of any strategy, about 7 MB."""

DIGEST_BYTES: Final = 16

_encode: Final = msgspec.msgpack.Encoder().encode


class CachedReply(Struct, frozen=True, array_like=True, gc=False):
    """One answer, and the intent it was given to."""

    intent: Intent
    reply: ApprovalReply

    @property
    def digest(self) -> bytes:
        """Tell the intent apart from any other; worked out only when its id comes again."""
        return intent_digest(self.intent)


class ReplyCache(Struct, frozen=True, array_like=True, gc=False):
    """Answers in chunks by age, so that remembering one more copies a small dictionary and never all of them.

    Whatever was created at or before `forgotten_at_ns` may have been approved and forgotten.
    """

    newest: dict[IntentId, CachedReply] = {}
    older: tuple[dict[IntentId, CachedReply], ...] = ()
    evicted_through_ns: int = 0

    def find(self, intent_id: IntentId) -> CachedReply | None:
        """Give what was answered to this intent id."""
        found = self.newest.get(intent_id)
        if found is None:
            for chunk in self.older:
                if (found := chunk.get(intent_id)) is not None:
                    break
        return found


def intent_digest(intent: Intent) -> bytes:
    """Tell an intent's content apart from any other."""
    return blake2b(_encode(intent), digest_size=DIGEST_BYTES).digest()


def with_reply(cache: ReplyCache, intent: Intent, reply: ApprovalReply) -> ReplyCache:
    """Remember one more answer; the first answer given to an id stays the answer."""
    intent_id = intent.intent_id
    if cache.find(intent_id) is not None:
        return cache
    young = cache.newest.copy()
    young[intent_id] = CachedReply(intent, reply)
    if len(young) < CHUNK_SIZE:
        return ReplyCache(young, cache.older, cache.evicted_through_ns)
    return _rotate(young, cache)


def _rotate(full: dict[IntentId, CachedReply], cache: ReplyCache) -> ReplyCache:
    old = (full, *cache.older)
    kept, dropped = old[: CHUNK_COUNT - 1], old[CHUNK_COUNT - 1 :]
    # A refusal that is forgotten does no harm: judged again, the intent is approved once at most.
    forgotten = (one.intent.created_at_ns for chunk in dropped for one in chunk.values() if one.reply.allowed)
    return ReplyCache({}, kept, max(cache.evicted_through_ns, *forgotten, 0))
