"""An order's history as JSON, and the model's name."""

from pathlib import Path

import pytest

from components.xtrader.explain.explain import history_as_dict, model_name
from components.xtrader.explain.history import OrderHistory, find_history
from tests.support.order_records import decision, intent, order_events, paths_at, write_journal

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


def test_the_json_form_holds_the_same(traded: Path) -> None:
    result = history_as_dict(history_of(traded, "last"), "demo version 1")
    assert result["state"] == "filled"
    assert result["decision"]["features"]["return_1"] == 0.0
    assert result["decision"]["checks"][0]["limit"] == "30 bps"
    assert [one["kind"] for one in result["events"]][:2] == ["IntentReceived", "OrderSending"]
    assert result["events"][-1]["since_tick_ms"] == 12.0


def test_only_the_model_that_made_the_prediction_is_named(traded: Path) -> None:
    shipped = Path(__file__).parents[3] / "models" / "demo.toml"
    assert model_name(shipped, history_of(traded, "last")) is None
    assert model_name(traded / "none.toml", history_of(traded, "last")) is None
