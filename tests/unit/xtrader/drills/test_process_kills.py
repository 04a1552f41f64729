"""A schedule of kills is a function of its seed, is fair, and has the requested length."""

from collections import Counter
from itertools import islice

from components.xtrader.drills.process_kills import KILL_DELAY_MS_MAX, kill_schedule, limit_kills

NAMES = ("market_data", "signals", "risk", "execution", "sandbox")


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert list(islice(kill_schedule(NAMES, 7), 50)) == list(islice(kill_schedule(NAMES, 7), 50))
    assert list(islice(kill_schedule(NAMES, 7), 50)) != list(islice(kill_schedule(NAMES, 8), 50))


def test_every_process_is_killed_about_equally_often() -> None:
    killed = Counter(name for kill in limit_kills(kill_schedule(NAMES, 7), 100) for name in kill.names)
    assert killed.total() == 100
    assert min(killed[name] for name in NAMES) >= 15


def test_a_schedule_has_single_and_double_kills_aimed_and_not() -> None:
    schedule = list(islice(kill_schedule(NAMES, 7), 100))
    assert {len(kill.names) for kill in schedule} == {1, 2}
    assert {kill.is_aimed for kill in schedule} == {True, False}
    assert all(len(set(kill.names)) == len(kill.names) and 0 <= kill.wait_ms < KILL_DELAY_MS_MAX for kill in schedule)


def test_a_schedule_without_a_limit_does_not_end() -> None:
    assert len(list(islice(limit_kills(kill_schedule(NAMES, 7), None), 1_000))) == 1_000
