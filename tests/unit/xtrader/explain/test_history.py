"""An order's history is found in both journals by any of its ids, and collected during a run."""

from pathlib import Path

import pytest

from components.contracts.errors import UsageError
from components.xtrader.explain.history import HISTORIES_MAX, OrderHistory, RecentHistories, find_history
from tests.support.order_records import decision, filled, intent, order_events, paths_at, write_journal

REFUSED = intent("demo-abc-2")
OTHER = intent("demo-abc-3")


@pytest.fixture
def traded(tmp_path: Path) -> Path:
    paths = paths_at(tmp_path)
    write_journal(paths, "risk", decision(), decision(REFUSED, allowed=False), decision(OTHER))
    write_journal(paths, "execution", *order_events(), *order_events(OTHER))
    return tmp_path


def history_of(root: Path, name: str) -> OrderHistory:
    history = find_history(paths_at(root), name)
    assert history is not None
    return history


@pytest.mark.parametrize("name", ["demo-abc-1", "demo-abc-1-0", "demo-abc-1-0-1"])
def test_an_order_is_found_by_each_of_its_ids(traded: Path, name: str) -> None:
    history = history_of(traded, name)
    assert history.decision == decision()
    assert history.decision_sequence == 1
    assert [event.sequence for event in history.events] == [1, 2, 3, 4, 5]


def test_last_is_the_newest_order(traded: Path) -> None:
    assert history_of(traded, "last").client_order_id == "demo-abc-3-0-1"


@pytest.mark.parametrize("name", ["demo-abc-9", "demo", "x", ""])
def test_an_unknown_id_has_no_history(traded: Path, name: str) -> None:
    assert find_history(paths_at(traded), name) is None


def test_without_journals_a_usage_error_is_raised(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no journal yet"):
        find_history(paths_at(tmp_path), "last")


def test_an_empty_journal_has_no_last_order(tmp_path: Path) -> None:
    write_journal(paths_at(tmp_path), "execution")
    assert find_history(paths_at(tmp_path), "last") is None


def test_above_the_limit_the_oldest_history_is_dropped() -> None:
    recent = RecentHistories()
    for number in range(HISTORIES_MAX + 1):
        recent.add_decision(number, decision(intent(f"demo-abc-{number}")))
    names = [history.order_id for history in recent]
    assert names[0] == f"demo-abc-{HISTORIES_MAX}-0"
    assert len(names) == HISTORIES_MAX


def test_events_and_decision_of_an_intent_become_one_history() -> None:
    recent = RecentHistories()
    for sequence, event in enumerate(order_events()):
        recent.add_order_event(sequence, event)
    recent.add_decision(7, decision())
    history = recent.history_of(filled())
    assert len(list(recent)) == 1
    assert history.decision_sequence == 7
    assert history.state == "filled"
