"""Replies are cached up to a bound, and the cache records how far it has evicted."""

import pytest

from components.contracts.decisions import ApprovalReply
from components.contracts.signals import Intent
from components.risk.core import account_state as module
from components.risk.core.account_state import CHUNK_COUNT, CHUNK_SIZE, ReplyCache, intent_digest, with_reply
from tests.support.risk_harness import NOW, an_intent


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_SIZE", 4)
    monkeypatch.setattr(module, "CHUNK_COUNT", 3)


def thought(number: int) -> Intent:
    return an_intent(f"n{number}", created_at_ns=NOW + number)


def verdict(intent: Intent, *, allowed: bool = True) -> ApprovalReply:
    return ApprovalReply(intent.intent_id, allowed, (), 1)


def remember(count: int, *, allowed: bool = True) -> ReplyCache:
    memory = ReplyCache()
    for number in range(count):
        memory = with_reply(memory, thought(number), verdict(thought(number), allowed=allowed))
    return memory


def test_the_bound_is_the_documented_one() -> None:
    assert (CHUNK_SIZE * (CHUNK_COUNT - 1), CHUNK_SIZE * CHUNK_COUNT) == (1_792, 2_048)


@pytest.mark.parametrize("count", [1, 4, 8, 11])
def test_the_latest_replies_are_cached(count: int) -> None:
    memory = remember(count)
    for number in range(max(0, count - 8), count):
        found = memory.find(thought(number).intent_id)
        assert found is not None
        assert found.digest == intent_digest(thought(number))


def test_the_cache_never_grows_beyond_its_bound() -> None:
    memory = remember(100)
    assert len(memory.newest) + sum(len(chunk) for chunk in memory.older) <= 12


def test_an_evicted_approval_raises_the_eviction_time() -> None:
    assert remember(11).evicted_through_ns == 0
    assert remember(12).find(thought(3).intent_id) is None
    assert remember(12).evicted_through_ns == NOW + 3
    assert remember(16).evicted_through_ns == NOW + 7


def test_an_evicted_refusal_does_not_raise_the_eviction_time() -> None:
    assert remember(40, allowed=False).evicted_through_ns == 0


def test_the_first_reply_is_kept() -> None:
    intent = thought(1)
    memory = with_reply(ReplyCache(), intent, verdict(intent))
    assert with_reply(memory, intent, verdict(intent, allowed=False)) is memory


def test_an_older_cache_is_not_changed_by_a_newer_one() -> None:
    older = remember(2)
    with_reply(older, thought(2), verdict(thought(2)))
    assert older.find(thought(2).intent_id) is None
