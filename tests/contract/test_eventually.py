"""`eventually` returns what it observed, or fails with the reason."""

import asyncio
from itertools import count

import pytest

from tests.support.eventually import eventually, eventually_async


def test_the_first_truthy_result_is_returned() -> None:
    answers = count()
    assert eventually(lambda: next(answers), within_s=1, every_s=0) == 1


def test_a_probe_that_never_comes_true_is_named_with_its_last_result() -> None:
    def no_fill_yet() -> list[str]:
        return []

    with pytest.raises(AssertionError, match=r"no_fill_yet did not come true within 0 s; its last result was \[\]"):
        eventually(no_fill_yet, within_s=0)


def test_the_last_probe_is_made_after_the_deadline() -> None:
    assert eventually(lambda: "there", within_s=0) == "there"


def test_on_a_loop_the_first_truthy_result_is_returned() -> None:
    answers = count()

    async def answer() -> int:
        return next(answers)

    assert asyncio.run(eventually_async(answer, within_s=1, every_s=0)) == 1


def test_on_a_loop_a_probe_that_hangs_is_cut_off() -> None:
    async def hang() -> bool:
        return await asyncio.Future()

    with pytest.raises(
        AssertionError, match=r"hang did not come true within [0-9.]+ s; its last result was 'nothing yet'"
    ):
        asyncio.run(eventually_async(hang, within_s=0.001))
