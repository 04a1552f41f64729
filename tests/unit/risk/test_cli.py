"""The commands that need no running process: checking an order, and replaying a log."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from components.contracts.decisions import Decision, DecisionMessage
from components.risk.cli import cli
from components.runtime.bus.codec import encode
from components.runtime.cli import run_command
from components.runtime.journal.journal import Journal
from tests.support.risk_harness import NOW, RiskHarness, fresh_intent

INTENT = {"symbol": "AAPL", "side": "buy", "quantity": 1, "limit_price": "190.02"}
QUOTE = ("--bid", "190.00", "--ask", "190.04")
CheckCommand = Any


@pytest.fixture(autouse=True)
def _shipped_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("XTRADER")]:  # noqa: TID251 -- to take them away
        monkeypatch.delenv(name)


@pytest.fixture
def check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> CheckCommand:
    def check(intent: object, *options: str) -> tuple[int, dict[str, Any] | str]:
        file = tmp_path / "intent.json"
        file.write_text(intent if isinstance(intent, str) else json.dumps(intent))
        code = run_command(cli, ["check", str(file), "--json", *options])
        output = capsys.readouterr()
        return code, json.loads(output.out) if output.out else output.err

    return check


def refused(answer: dict[str, Any]) -> list[str]:
    return [one["name"] for one in answer["checks"] if not one["passed"]]


def test_an_ordinary_intent_would_be_allowed(check: CheckCommand) -> None:
    code, answer = check(INTENT, *QUOTE)
    assert (code, answer["allowed"], len(answer["checks"])) == (0, True, 17)


def test_without_a_quote_it_would_not(check: CheckCommand) -> None:
    code, answer = check(INTENT)
    assert (code, refused(answer)) == (1, ["quote_age", "spread", "price_collar"])


def test_causes_position_and_age_can_be_set_by_options(check: CheckCommand) -> None:
    sale = INTENT | {"side": "sell", "purpose": "exit"}
    assert check(sale, *QUOTE, "--position", "1", "--cause", "data_stale")[0] == 0
    code, answer = check(sale, *QUOTE, "--position", "0.5", "--cause", "unreconciled")
    assert (code, refused(answer)) == (1, ["trading_state", "short_sale", "shrinks_only"])
    assert refused(check(INTENT, *QUOTE, "--quote-age-ms", "60000")[1]) == ["quote_age"]


@pytest.mark.parametrize(
    ("intent", "message"),
    [
        ("{", "Expecting property name"),
        ("[1]", "the order file is not a JSON object"),
        (INTENT | {"quantiy": 1}, "unknown field: quantiy"),
        ({"symbol": "AAPL", "side": "buy"}, "missing field: quantity"),
        (INTENT | {"quantity": -1}, "quantity -1: must be above 0"),
        (INTENT | {"side": "hold"}, "invalid order"),
    ],
    ids=str,
)
def test_an_invalid_intent_is_reported_in_one_line(check: CheckCommand, intent: object, message: str) -> None:
    code, answer = check(intent, *QUOTE)
    assert code == 64
    assert message in answer
    assert len(answer.splitlines()) == 1


@pytest.mark.parametrize("options", [("--cause", "rain"), ("--bid", "one"), ("--position", "NaN")])
def test_an_invalid_option_is_reported_too(check: CheckCommand, options: tuple[str, str]) -> None:
    assert check(INTENT, *options)[0] == 64


def written(folder: Path, log: list[DecisionMessage]) -> Path:
    journal = Journal.open(folder, owner="risk", account="sandbox", now_ns=NOW)
    journal.write([(NOW, encode(record)) for record in log])
    journal.close()
    return folder


def a_log() -> list[DecisionMessage]:
    harness = RiskHarness().activate()
    harness.request_approval(fresh_intent(harness))
    harness.request_approval(fresh_intent(harness, "no", limit_price="200"))
    return harness.log


def test_a_log_is_replayed_and_every_decision_reproduced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "risk", a_log())
    assert run_command(cli, ["replay", str(folder), "--verify", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], answer["decisions"], answer["allowed"], answer["not_reproduced"]) == (True, 2, 1, [])


def test_a_decision_that_does_not_follow_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = a_log()
    refusal = log[-1]
    assert isinstance(refusal, Decision)
    log[-1] = replace(refusal, checks=refusal.checks[:-1])
    assert run_command(cli, ["replay", str(written(tmp_path / "risk", log)), "--verify", "--json"]) == 65
    assert json.loads(capsys.readouterr().out)["not_reproduced"] == [len(log)]


def test_a_record_that_is_no_message_is_corruption(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "risk", a_log())
    journal = Journal.open(folder, owner="risk", account="sandbox", now_ns=NOW)
    journal.write([(NOW, b"\x93\xa4What\x01\x02")])
    journal.close()
    assert run_command(cli, ["replay", str(folder)]) == 65
    assert f"record {len(a_log()) + 1}:" in capsys.readouterr().err
