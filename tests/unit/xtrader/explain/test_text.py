"""An order's history as text: the summary and the full detail."""

from pathlib import Path

import pytest

from components.contracts.decisions import ApprovalRequest, CommandRejected
from components.xtrader.explain.history import OrderHistory, find_history
from components.xtrader.explain.text import full_text, summary_text
from tests.support.order_records import MODEL_HASH, decision, intent, order_events, paths_at, write_journal
from tests.support.sample_messages import MESSAGES

SAMPLE = next(message for message in MESSAGES if isinstance(message, ApprovalRequest))
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


def test_a_refused_signal_has_a_history_without_an_order(traded: Path) -> None:
    history = history_of(traded, "demo-abc-2")
    assert history.events == []
    (*_, last) = summary_text(history, None)
    assert last == "No order was sent."
    assert "refused: duplicate: 400 ms ago, limit no repeat within 1000 ms" in "\n".join(summary_text(history, None))


def test_a_rejected_command_belongs_to_the_history(tmp_path: Path) -> None:
    refused = next(one for one in MESSAGES if isinstance(one, CommandRejected))
    proposed = intent(refused.intent_id.rpartition("-")[0], leg=1)
    write_journal(paths_at(tmp_path), "risk", decision(proposed), refused)
    write_journal(paths_at(tmp_path), "execution")
    assert "execution rejected the command: forged" in "\n".join(
        full_text(history_of(tmp_path, refused.intent_id), None)
    )


def test_the_full_text_names_quote_model_features_checks_and_events(traded: Path) -> None:
    text = "\n".join(full_text(history_of(traded, "last"), "demo version 1"))
    for part in (
        "bought 1 SPY at 559.98",
        "559.95 bid, 559.98 ask",
        f"demo version 1 (file {MODEL_HASH})",
        "edge +0.500",
        "return_5             1.000000 basis points",
        "passes   spread           1.60 bps",
        "limit 30 bps",
        "sealed for account paper-1, valid for 10.0 s",
        "+3.0 ms  sending, attempt 1",
        "+12.0 ms  filled 1 at 559.98",
    ):
        assert part in text


def test_the_summary_gives_times_after_the_tick(traded: Path) -> None:
    quoted, decided, outcome = summary_text(history_of(traded, "last"), "demo version 1")
    assert quoted.startswith("SPY was quoted 559.95 bid, 559.98 ask. The model (demo version 1) predicted 62% up")
    assert decided == "Risk ran all 1 checks 1.0 ms after the tick: all passed, so it sealed an approval."
    assert outcome.endswith("The order bought 1 SPY at 559.98, 12.0 ms after the tick.")


def test_features_of_another_schema_are_numbered(traded: Path) -> None:
    history = history_of(traded, "last")
    foreign = intent("demo-abc-3", provenance=SAMPLE.intent.provenance)
    history.decision = decision(foreign)
    assert "feature 1" in "\n".join(full_text(history, None))
