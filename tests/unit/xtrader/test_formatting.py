"""Timestamps and durations are written for people."""

from components.xtrader.formatting import format_duration, format_elapsed, format_time, format_timestamp
from tests.support.sample_messages import AT_NS


def test_times_are_written_for_people() -> None:
    assert format_timestamp(AT_NS) == "2023-11-14 22:13:20.000000 UTC"
    assert format_time(AT_NS) == "22:13:20"
    assert [format_duration(one) for one in (1.26, 1_500, 61_000)] == ["1.3 ms", "1.5 s", "1:01"]
    assert format_elapsed(3_723) == "1:02:03"
