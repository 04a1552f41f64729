"""An order is explained from both journals, by any of its names, in words and in numbers."""

from pathlib import Path

import pytest

from components.contracts.decisions import ApprovalRequest, CommandRejected
from components.contracts.errors import UsageError
from components.xtrader.explain.explain import history_as_dict, model_name
from components.xtrader.explain.history import HISTORIES_MAX, OrderHistory, RecentHistories, find_history
from components.xtrader.explain.text import full_text, summary_text
from components.xtrader.formatting import format_duration, format_elapsed, format_time, format_timestamp
from tests.support.order_records import MODEL_HASH, decision, filled, intent, order_events, paths_at, write_journal
from tests.support.sample_messages import AT_NS, MESSAGES

SAMPLE = next(message for message in MESSAGES if isinstance(message, ApprovalRequest))


REFUSED = intent("demo-abc-2")


OTHER = intent("demo-abc-3")


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    places = paths_at(tmp_path)
    write_journal(places, "risk", decision(), decision(REFUSED, allowed=False), decision(OTHER))
    write_journal(places, "execution", *order_events(), *order_events(OTHER))
    return tmp_path


def told(root: Path, name: str) -> OrderHistory:
    story = find_history(paths_at(root), name)
    assert story is not None
    return story


@pytest.mark.parametrize("name", ["demo-abc-1", "demo-abc-1-0", "demo-abc-1-0-1"])
def test_an_order_is_found_by_each_of_its_names(traded: Path, name: str) -> None:
    story = told(traded, name)
    assert story.decision == decision()
    assert story.decision_sequence == 1
    assert [step.sequence for step in story.events] == [1, 2, 3, 4, 5]


def test_last_is_the_newest_order(traded: Path) -> None:
    assert told(traded, "last").client_order_id == "demo-abc-3-0-1"


def test_a_refused_signal_has_a_story_without_an_order(traded: Path) -> None:
    story = told(traded, "demo-abc-2")
    assert story.events == []
    (*_, last) = summary_text(story, None)
    assert last == "Nothing was sent."
    assert "refused: duplicate: 400 ms ago, allowed is no repeat within 1000 ms" in "\n".join(summary_text(story, None))


@pytest.mark.parametrize("name", ["demo-abc-9", "demo", "x", ""])
def test_an_unknown_name_is_nobodys(traded: Path, name: str) -> None:
    assert find_history(paths_at(traded), name) is None


def test_without_journals_the_mistake_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no journal yet"):
        find_history(paths_at(tmp_path), "last")


def test_an_empty_journal_has_no_last_order(tmp_path: Path) -> None:
    write_journal(paths_at(tmp_path), "execution")
    assert find_history(paths_at(tmp_path), "last") is None


def test_a_refused_hand_over_belongs_to_the_story(tmp_path: Path) -> None:
    refused = next(one for one in MESSAGES if isinstance(one, CommandRejected))
    wanted = intent(refused.intent_id.rpartition("-")[0], leg=1)
    write_journal(paths_at(tmp_path), "risk", decision(wanted), refused)
    write_journal(paths_at(tmp_path), "execution")
    assert "execution refused the hand-over: forged" in "\n".join(full_text(told(tmp_path, refused.intent_id), None))


def test_the_long_story_names_quote_model_features_checks_and_events(traded: Path) -> None:
    text = "\n".join(full_text(told(traded, "last"), "demo version 1"))
    for part in (
        "bought 1 SPY at 559.98",
        "559.95 bid, 559.98 asked",
        f"demo version 1 (file {MODEL_HASH})",
        "an edge of +0.500",
        "return_5             1.000000 basis points",
        "holds    spread           1.60 bps",
        "limit 30 bps",
        "sealed for account paper-1, valid for 10.0 s",
        "+3.0 ms  sending, attempt 1",
        "+12.0 ms  filled 1 at 559.98",
    ):
        assert part in text


def test_the_short_story_says_when_after_the_tick(traded: Path) -> None:
    seen, judged, became = summary_text(told(traded, "last"), "demo version 1")
    assert seen.startswith("SPY stood at 559.95 bid, 559.98 asked. The model (demo version 1) gave 62% for up")
    assert judged == "Risk ran all 1 checks 1.0 ms after the tick: every one held, so it sealed an approval."
    assert became.endswith("it bought 1 SPY at 559.98, 12.0 ms after the tick.")


def test_features_of_another_schema_are_numbered(traded: Path) -> None:
    story = told(traded, "last")
    foreign = intent("demo-abc-3", evidence=SAMPLE.intent.provenance)
    story.decision = decision(foreign)
    assert "feature 1" in "\n".join(full_text(story, None))


def test_a_machine_is_told_the_same(traded: Path) -> None:
    facts = history_as_dict(told(traded, "last"), "demo version 1")
    assert facts["state"] == "filled"
    assert facts["decision"]["features"]["return_1"] == 0.0
    assert facts["decision"]["checks"][0]["limit"] == "30 bps"
    assert [one["kind"] for one in facts["events"]][:2] == ["IntentReceived", "OrderSending"]
    assert facts["events"][-1]["since_tick_ms"] == 12.0


def test_the_model_is_named_only_if_it_is_that_one(traded: Path) -> None:
    shipped = Path(__file__).parents[3] / "models" / "demo.toml"
    assert model_name(shipped, told(traded, "last")) is None
    assert model_name(traded / "none.toml", told(traded, "last")) is None


def test_the_newest_stories_are_kept_and_the_oldest_go() -> None:
    newest = RecentHistories()
    for number in range(HISTORIES_MAX + 1):
        newest.add_decision(number, decision(intent(f"demo-abc-{number}")))
    names = [story.order_id for story in newest]
    assert names[0] == f"demo-abc-{HISTORIES_MAX}-0"
    assert len(names) == HISTORIES_MAX


def test_events_and_decision_of_an_intent_become_one_story() -> None:
    newest = RecentHistories()
    for sequence, event in enumerate(order_events()):
        newest.add_order_event(sequence, event)
    newest.add_decision(7, decision())
    story = newest.history_of(filled())
    assert len(list(newest)) == 1
    assert story.decision_sequence == 7
    assert story.state == "filled"


def test_times_are_written_for_people() -> None:
    assert format_timestamp(AT_NS) == "2023-11-14 22:13:20.000000 UTC"
    assert format_time(AT_NS) == "22:13:20"
    assert [format_duration(one) for one in (1.26, 1_500, 61_000)] == ["1.3 ms", "1.5 s", "1:01"]
    assert format_elapsed(3_723) == "1:02:03"
