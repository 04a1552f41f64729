"""The simulation detects what it exists for: each invariant, violated on purpose, is detected within a few seeds."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from components.contracts.decisions import CheckName
from components.contracts.errors import StorageError
from components.contracts.orders import OrderState, UpdateSource
from components.contracts.values import ZERO
from components.execution.service.command_intake import CommandIntake
from components.execution.service.order_driver import OrderDriver
from components.execution.service.venue_responses import VenueResponses
from components.risk.core import projection
from components.risk.core.checks import evaluation
from components.risk.core.checks.evaluation import PRE_TRADE_CHECKS
from components.risk.core.checks.exposure import check_position
from components.runtime.cli import run_command
from components.runtime.filesystem import OpenFile
from components.runtime.journal import journal
from components.runtime.process.effects import EffectExecutor
from components.runtime.service import Append
from components.xtrader.cli import simulate
from components.xtrader.simulation.campaign import random_runs, runs_crashed_at
from components.xtrader.simulation.run import RunReport
from components.xtrader.simulation.storage import SimulatedDisk

# ruff: noqa: SLF001 -- a mutant replaces a private step; named as an attribute, it follows a rename

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
SEEDS_MAX = 60
"""Every mutant must be detected within so many runs (about 1,500 crash points, ten seconds)."""


def without_data_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimulatedDisk, "fdatasync", lambda self, file: None)


def without_folder_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimulatedDisk, "sync_folder", lambda self, folder: None)


def with_a_retry_after_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    sync = SimulatedDisk.fdatasync

    def sync_twice(self: SimulatedDisk, file: OpenFile) -> None:
        try:
            sync(self, file)
        except StorageError:
            sync(self, file)

    patch.setattr(SimulatedDisk, "fdatasync", sync_twice)


def without_duplicate_detection(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CommandIntake, CommandIntake._duplicate_reply.__name__, lambda *_: None)


def with_replies_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    def execute_at_once(self: EffectExecutor, effects: Iterable[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Append):
                self._pending.append(self._submit(effect))
            else:
                self._perform(effect)

    patch.setattr(EffectExecutor, EffectExecutor.execute.__name__, execute_at_once)


def with_unknown_outcome_as_rejected(patch: pytest.MonkeyPatch) -> None:
    def reject(
        self: VenueResponses, order: Any, in_flight: Any, reason: str, now_ns: int, *, query_now: bool
    ) -> list[Any]:
        if order.state is not OrderState.SENDING:
            return []
        return [self._journal.set_state(order, OrderState.REJECTED, reason, UpdateSource.REPLY, now_ns)]

    patch.setattr(VenueResponses, VenueResponses._on_outcome_unknown.__name__, reject)


def without_the_position_check(patch: pytest.MonkeyPatch) -> None:
    def always_pass(case: Any) -> Any:
        result = check_position(case)
        return type(result)(CheckName.POSITION, result.observed, result.limit, passed=True)

    checks = tuple(always_pass if check is check_position else check for check in PRE_TRADE_CHECKS)
    patch.setattr(evaluation, "PRE_TRADE_CHECKS", checks)


def with_an_order_not_found_as_never_landed(patch: pytest.MonkeyPatch) -> None:
    def give_up(self: OrderDriver, order: Any, in_flight: Any, now_ns: int) -> list[Any]:
        return [self._journal.set_state(order, OrderState.NEVER_LANDED, "404", UpdateSource.QUERY, now_ns)]

    patch.setattr(OrderDriver, OrderDriver._place_fence.__name__, give_up)


def with_unknown_exposure_released(patch: pytest.MonkeyPatch) -> None:
    def reserved(order: Any) -> Any:
        return order.remaining if order and order.state is not OrderState.UNKNOWN else ZERO

    patch.setattr(projection, projection._reserved.__name__, reserved)


def without_the_rewrite_of_the_last_frame(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(journal, journal._rewrite_last_frame.__name__, lambda *_: None)


MUTANTS: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    without_data_sync: "had been durable",
    without_folder_sync: "had been durable",
    with_a_retry_after_a_failed_sync: "had been durable|is damaged",
    without_duplicate_detection: "a second time",
    with_replies_before_the_sync: "not on its disk|in no journal",
    with_unknown_outcome_as_rejected: "at the venue, .* rejected here",
    without_the_position_check: "beyond the limit",
    with_an_order_not_found_as_never_landed: "at the venue, (unknown|.* never_landed) here",
    with_unknown_exposure_released: "beyond the limit",
    without_the_rewrite_of_the_last_frame: "had been durable|is damaged",
}


def first_violation(seeds_max: int) -> RunReport | None:
    return next((one for one in random_runs(1, seeds_max, 0) if one.problem), None)


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_a_mutant_is_detected(mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    report = first_violation(SEEDS_MAX)
    assert report is not None
    assert re.search(MUTANTS[mutate], report.problem), report.problem


def test_a_violation_is_reported_with_its_seed_and_the_command_that_replays_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_data_sync(monkeypatch)
    ended = CliRunner().invoke(simulate, ["--seed", "1", "--json"])
    result = json.loads(ended.output)
    seed, problem = result["broken"][0]["seed"], result["broken"][0]["problem"]
    assert result["violations"] == 1
    assert f"replay: xtrader simulate --seed {seed} --runs 1" in CliRunner().invoke(simulate, ["--seed", "1"]).output
    replayed = CliRunner().invoke(simulate, ["--seed", str(seed), "--runs", "1", "--json"])
    assert json.loads(replayed.output)["broken"][0]["problem"] == problem
    assert run_command(simulate, ["--seed", str(seed), "--runs", "1"]) == 1


def test_a_crash_before_each_effect_of_one_run_violates_no_invariant() -> None:
    reports = list(runs_crashed_at(1, range(1, 60)))
    assert [one.problem for one in reports if one.problem] == []
    assert {one.crash_points for one in reports} == {1}


@pytest.mark.parametrize("hashing", ["1", "2"])
def test_a_run_depends_on_nothing_but_its_seed(hashing: str) -> None:
    script = "from components.xtrader.simulation.campaign import random_runs; print(next(random_runs(5, 1, 0)).trace)"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONHASHSEED": hashing},
        cwd=ROOT,
    )
    assert ended.stdout.strip() == next(random_runs(5, 1, 0)).trace
