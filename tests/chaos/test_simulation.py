"""The simulation catches what it is there to catch: each promise, broken on purpose, is noticed within a few seeds."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import pytest

from components.contracts.decisions import Code
from components.contracts.errors import IoFailed
from components.contracts.orders import OrderState, Source
from components.execution.service.answers import Answers
from components.execution.service.door import Door
from components.risk.core import judge
from components.risk.core.checks import CHECKS, position_stays_within_limit
from components.runtime.carrier import Carrier
from components.runtime.disk import OpenFile
from components.runtime.metrics import Metrics
from components.runtime.service import Append
from components.xtrader.simulation.campaign import CRASH_POINTS_PER_RUN, again
from components.xtrader.simulation.disk import SimulatedDisk
from components.xtrader.simulation.run import Report, Run

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

SEEDS_MAX = 60
"""Within so many runs (about 1,500 crash points, ten seconds) every mutant must be noticed."""


def without_data_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimulatedDisk, "fdatasync", lambda self, file: None)


def without_folder_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SimulatedDisk, "sync_folder", lambda self, folder: None)


def with_a_second_try_after_a_failed_sync(patch: pytest.MonkeyPatch) -> None:
    sync = SimulatedDisk.fdatasync

    def try_twice(self: SimulatedDisk, file: OpenFile) -> None:
        try:
            sync(self, file)
        except IoFailed:
            sync(self, file)

    patch.setattr(SimulatedDisk, "fdatasync", try_twice)


def with_intents_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Door, "_repeated", lambda *_: None)


def with_answers_before_the_sync(patch: pytest.MonkeyPatch) -> None:
    def carry_at_once(self: Carrier, effects: Iterable[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Append):
                self._waiting.append(self._submit(effect))
            else:
                self._do(effect)

    patch.setattr(Carrier, "carry", carry_at_once)


def with_unknown_taken_for_no(patch: pytest.MonkeyPatch) -> None:
    def give_up(self: Answers, order: Any, errand: Any, reason: str, now_ns: int, *, ask_now: bool) -> list[Any]:
        if order.state is not OrderState.SENDING:
            return []
        return [self._book.move(order, OrderState.REJECTED, reason, Source.REPLY, now_ns)]

    patch.setattr(Answers, "_unknown", give_up)


def without_the_position_check(patch: pytest.MonkeyPatch) -> None:
    def always_hold(case: Any) -> Any:
        checked = position_stays_within_limit(case)
        return type(checked)(Code.POSITION, checked.observed, checked.limit, holds=True)

    others = tuple(always_hold if check is position_stays_within_limit else check for check in CHECKS)
    patch.setattr(judge, "CHECKS", others)


MUTANTS: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    without_data_sync: "had been durable",
    without_folder_sync: "had been durable",
    with_a_second_try_after_a_failed_sync: "had been durable",
    with_intents_forgotten: "received intent",
    with_answers_before_the_sync: "not on its disk|in no journal",
    with_unknown_taken_for_no: "",
    without_the_position_check: "beyond the limit",
}


def first_broken(seeds_max: int) -> Report | None:
    gauges: dict[str, Metrics] = {}
    reports = (Run(seed, CRASH_POINTS_PER_RUN, gauges).to_its_end() for seed in range(1, seeds_max + 1))
    return next((one for one in reports if one.problem), None)


@pytest.mark.parametrize("mutate", MUTANTS, ids=lambda mutate: mutate.__name__)
def test_a_mutant_is_caught(mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch)
    broken = first_broken(SEEDS_MAX)
    assert broken is not None
    print(broken.seed, broken.problem)
