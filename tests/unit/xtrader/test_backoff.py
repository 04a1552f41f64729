"""A dead child comes back soon, then less eagerly, then soon again once it has lived."""

from components.xtrader.backoff import MOST_MS, STEADY_MS, Lives


def delays(deaths: int, lived_ms: int = 0) -> list[int]:
    lives, found = Lives(), []
    for _ in range(deaths):
        lives = lives.after_death(lived_ms=lived_ms)
        found.append(lives.delay_ms)
    return found


def test_the_first_start_does_not_wait() -> None:
    assert Lives().delay_ms == 0


def test_each_death_in_a_row_doubles_the_wait_up_to_a_cap() -> None:
    assert delays(8) == [250, 500, 1000, 2000, 4000, MOST_MS, MOST_MS, MOST_MS]


def test_a_long_life_is_forgiven() -> None:
    assert delays(3, lived_ms=STEADY_MS) == [250, 250, 250]
