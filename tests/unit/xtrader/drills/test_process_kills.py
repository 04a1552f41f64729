"""A plan of kills is a function of its seed, fair, and as long as it was asked to be."""

from collections import Counter
from itertools import islice

from components.xtrader.drills.process_kills import KILL_DELAY_MS_MAX, kill_schedule, limit_kills

NAMES = ("market_data", "signals", "risk", "execution", "sandbox")


def test_the_same_seed_gives_the_same_plan() -> None:
    assert list(islice(kill_schedule(NAMES, 7), 50)) == list(islice(kill_schedule(NAMES, 7), 50))
    assert list(islice(kill_schedule(NAMES, 7), 50)) != list(islice(kill_schedule(NAMES, 8), 50))


def test_everybody_is_struck_and_about_equally_often() -> None:
    struck = Counter(name for blow in limit_kills(kill_schedule(NAMES, 7), 100) for name in blow.names)
    assert struck.total() == 100
    assert min(struck[name] for name in NAMES) >= 15


def test_a_plan_has_single_blows_and_double_ones_aimed_ones_and_others() -> None:
    plan = list(islice(kill_schedule(NAMES, 7), 100))
    assert {len(blow.names) for blow in plan} == {1, 2}
    assert {blow.is_aimed for blow in plan} == {True, False}
    assert all(len(set(blow.names)) == len(blow.names) and 0 <= blow.wait_ms < KILL_DELAY_MS_MAX for blow in plan)


def test_a_plan_without_a_bound_goes_on() -> None:
    assert len(list(islice(limit_kills(kill_schedule(NAMES, 7), None), 1_000))) == 1_000
