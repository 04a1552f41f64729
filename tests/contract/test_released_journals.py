"""Journals written by each released version open, verify and fold in this one, for ever.

`journals/<release>/` holds both journals of one run of that release (orders, fills, a halt, a resume, a cancel-all, a
restart) and what they held. `journals/record` writes a new folder for a new release; no folder is ever changed.
"""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from components.contracts.streams import DECISIONS, ORDERS
from components.contracts.values import AccountId
from components.execution.wiring import replay as replay_orders
from components.risk.core.account_state import RiskState
from components.risk.core.checks.evaluation import audit_log
from components.risk.core.projection import replay as replay_decisions
from components.risk.wiring import read_log
from components.runtime.bus.codec import message_decoder
from components.runtime.journal.journal import Journal
from components.runtime.journal.reader import read_records, verify_journal

JOURNALS = Path(__file__).parent / "journals"
RELEASES = sorted(path for path in JOURNALS.iterdir() if path.is_dir())
STREAM_OF = {"risk": DECISIONS, "execution": ORDERS}
OWNERS = tuple(STREAM_OF)

pytestmark = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)


def contents(release: Path) -> dict[str, Any]:
    held: dict[str, Any] = json.loads((release / "contents.json").read_text())
    return held


@pytest.mark.parametrize("owner", OWNERS)
def test_a_released_journal_verifies_to_the_recorded_hash(release: Path, owner: str) -> None:
    result = verify_journal(release / owner)
    assert result.ok, result.problem
    assert {"records": result.records, "head_hash": result.head_hash} == contents(release)[owner]["chain"]


@pytest.mark.parametrize("owner", OWNERS)
def test_every_record_of_a_released_journal_is_decoded(release: Path, owner: str) -> None:
    decode = message_decoder(STREAM_OF[owner])
    tags = Counter(decode(record.payload).__struct_config__.tag for record in read_records(release / owner))
    assert tags == contents(release)[owner]["tags"]


@pytest.mark.parametrize("owner", OWNERS)
def test_a_released_journal_opens_for_writing(release: Path, owner: str, tmp_path: Path) -> None:
    folder = shutil.copytree(release / owner, tmp_path / owner)
    journal = Journal.open(folder, owner=owner, account="sandbox", now_ns=1)
    try:
        assert journal.last_sequence == contents(release)[owner]["chain"]["records"]
    finally:
        journal.close()


def test_risk_replays_a_released_log_to_the_same_positions(release: Path) -> None:
    state = replay_decisions(
        RiskState(account=AccountId("sandbox"), journal_id=""), read_log(read_records(release / "risk"))
    )
    positions = {symbol: str(one.quantity) for symbol, one in sorted(state.exposures.items()) if one.quantity}
    assert positions == contents(release)["positions"]


def test_execution_replays_a_released_journal_to_the_same_positions(release: Path) -> None:
    state = replay_orders(read_records(release / "execution"))
    positions = {symbol: str(quantity) for symbol, quantity in sorted(state.positions.items()) if quantity}
    assert positions == contents(release)["positions"]


def test_the_decisions_of_a_released_log_are_reproduced(release: Path) -> None:
    records = read_log(read_records(release / "risk"))
    assert audit_log(records, re_evaluate_decisions=True).ok
