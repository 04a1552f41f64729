"""An order is explained from both journals, by any of its names, in words and in numbers."""

from pathlib import Path

import pytest

from components.contracts.decisions import HandoverRefused, Judge
from components.contracts.errors import UsageError
from components.xtrader.explain.facts import facts_of
from components.xtrader.explain.finding import find
from components.xtrader.explain.models import model_name
from components.xtrader.explain.newest import KEPT_MAX, Newest
from components.xtrader.explain.story import Story
from components.xtrader.explain.telling import clock_time, lasting, moment, span
from components.xtrader.explain.words import in_full, in_short
from tests.support.messages import AT_NS, MESSAGES
from tests.unit.xtrader.tale import MODEL_HASH, decision, events, filled, intent, places_at, write_journal

SAMPLE = next(message for message in MESSAGES if isinstance(message, Judge))
REFUSED = intent("demo-abc-2")
OTHER = intent("demo-abc-3")


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    places = places_at(tmp_path)
    write_journal(places, "risk", decision(), decision(REFUSED, allowed=False), decision(OTHER))
    write_journal(places, "execution", *events(), *events(OTHER))
    return tmp_path


def told(root: Path, name: str) -> Story:
    story = find(places_at(root), name)
    assert story is not None
    return story


@pytest.mark.parametrize("name", ["demo-abc-1", "demo-abc-1-0", "demo-abc-1-0-1"])
def test_an_order_is_found_by_each_of_its_names(traded: Path, name: str) -> None:
    story = told(traded, name)
    assert story.decision == decision()
    assert story.decision_sequence == 1
    assert [step.sequence for step in story.steps] == [1, 2, 3, 4, 5]


def test_last_is_the_newest_order(traded: Path) -> None:
    assert told(traded, "last").client_order_id == "demo-abc-3-0-1"


def test_a_refused_signal_has_a_story_without_an_order(traded: Path) -> None:
    story = told(traded, "demo-abc-2")
    assert story.steps == []
    (*_, last) = in_short(story, None)
    assert last == "Nothing was sent."
    assert "refused: duplicate: 400 ms ago, allowed is no repeat within 1000 ms" in "\n".join(in_short(story, None))


@pytest.mark.parametrize("name", ["demo-abc-9", "demo", "x", ""])
def test_an_unknown_name_is_nobodys(traded: Path, name: str) -> None:
    assert find(places_at(traded), name) is None


def test_without_journals_the_mistake_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no journal yet"):
        find(places_at(tmp_path), "last")


def test_an_empty_journal_has_no_last_order(tmp_path: Path) -> None:
    write_journal(places_at(tmp_path), "execution")
    assert find(places_at(tmp_path), "last") is None


def test_a_refused_hand_over_belongs_to_the_story(tmp_path: Path) -> None:
    refused = next(one for one in MESSAGES if isinstance(one, HandoverRefused))
    wanted = intent(refused.intent_id.rpartition("-")[0], leg=1)
    write_journal(places_at(tmp_path), "risk", decision(wanted), refused)
    write_journal(places_at(tmp_path), "execution")
    assert "execution refused the hand-over: forged" in "\n".join(in_full(told(tmp_path, refused.intent_id), None))


def test_the_long_story_names_quote_model_features_checks_and_events(traded: Path) -> None:
    text = "\n".join(in_full(told(traded, "last"), "demo version 1"))
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
    seen, judged, became = in_short(told(traded, "last"), "demo version 1")
    assert seen.startswith("SPY stood at 559.95 bid, 559.98 asked. The model (demo version 1) gave 62% for up")
    assert judged == "Risk ran all 1 checks 1.0 ms after the tick: every one held, so it sealed an approval."
    assert became.endswith("it bought 1 SPY at 559.98, 12.0 ms after the tick.")


def test_features_of_another_schema_are_numbered(traded: Path) -> None:
    story = told(traded, "last")
    foreign = intent("demo-abc-3", evidence=SAMPLE.intent.evidence)
    story.decision = decision(foreign)
    assert "feature 1" in "\n".join(in_full(story, None))


def test_a_machine_is_told_the_same(traded: Path) -> None:
    facts = facts_of(told(traded, "last"), "demo version 1")
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
    newest = Newest()
    for number in range(KEPT_MAX + 1):
        newest.take_decision(number, decision(intent(f"demo-abc-{number}")))
    names = [story.name for story in newest]
    assert names[0] == f"demo-abc-{KEPT_MAX}-0"
    assert len(names) == KEPT_MAX


def test_events_and_decision_of_an_intent_become_one_story() -> None:
    newest = Newest()
    for sequence, event in enumerate(events()):
        newest.take_event(sequence, event)
    newest.take_decision(7, decision())
    story = newest.of(filled())
    assert len(list(newest)) == 1
    assert story.decision_sequence == 7
    assert story.state == "filled"


def test_times_are_written_for_people() -> None:
    assert moment(AT_NS) == "2023-11-14 22:13:20.000000 UTC"
    assert clock_time(AT_NS) == "22:13:20"
    assert [span(one) for one in (1.26, 1_500, 61_000)] == ["1.3 ms", "1.5 s", "1:01"]
    assert lasting(3_723) == "1:02:03"
