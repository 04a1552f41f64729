"""A dead child comes back soon, then less eagerly, then soon again once it has lived."""

from components.xtrader.backoff import RESTART_DELAY_MS_MAX, STABLE_MS_MIN, RestartBackoff


def delays(deaths: int, lived_ms: int = 0) -> list[int]:
    lives, found = RestartBackoff(), []
    for _ in range(deaths):
        lives = lives.after_exit(uptime_ms=lived_ms)
        found.append(lives.delay_ms)
    return found


def test_the_first_start_does_not_wait() -> None:
    assert RestartBackoff().delay_ms == 0


def test_each_death_in_a_row_doubles_the_wait_up_to_a_cap() -> None:
    assert delays(8) == [250, 500, 1000, 2000, 4000, RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_MAX]


def test_a_long_life_is_forgiven() -> None:
    assert delays(3, lived_ms=STABLE_MS_MIN) == [250, 250, 250]
