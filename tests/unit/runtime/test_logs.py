"""One event is one line, whatever its fields contain."""

import io
import json
import logging
from decimal import Decimal

import pytest

from components.runtime import logs
from components.runtime.logs import LogFormat, LogLevel
from tests.support.manual_clock import ManualClock


def lines_of(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.fixture
def written() -> io.StringIO:
    return io.StringIO()


def test_an_event_is_one_json_line_with_its_facts(written: io.StringIO) -> None:
    log = logs.configure("risk", clock=ManualClock(1_700_000_000_123_456_789), style=LogFormat.JSON, to=written)
    log.info("intent_refused", limit=Decimal("1000.10"), detail="two\nlines")
    assert lines_of(written) == [
        {
            "ts": "2023-11-14T22:13:20.123456Z",
            "level": "info",
            "event": "intent_refused",
            "service": "risk",
            "limit": "1000.10",
            "detail": "two\nlines",
        }
    ]


def test_a_terminal_gets_a_readable_line(written: io.StringIO) -> None:
    log = logs.configure("risk", clock=ManualClock(1_700_000_000_123_456_789), style=LogFormat.READABLE, to=written)
    log.warning("intent_refused", limit=Decimal("1000.10"), detail="two words")
    assert written.getvalue() == "22:13:20.123 warning risk        intent_refused limit=1000.10 detail='two words'\n"


def test_what_is_not_a_terminal_gets_json(written: io.StringIO) -> None:
    logs.configure("risk", to=written).info("started")
    assert lines_of(written)[0]["event"] == "started"


def test_less_than_the_level_is_not_written(written: io.StringIO) -> None:
    log = logs.configure("risk", level=LogLevel.WARNING, to=written)
    log.info("quiet")
    log.error("loud")
    assert [line["event"] for line in lines_of(written)] == ["loud"]


def test_a_text_that_json_cannot_carry_is_still_a_line(written: io.StringIO) -> None:
    logs.configure("risk", style=LogFormat.JSON, to=written).info("read", name="\udcff", peer=b"\xff".decode("latin-1"))
    assert lines_of(written)[0]["name"] == "\\udcff"


def test_a_warning_of_a_library_is_an_event(written: io.StringIO) -> None:
    logs.configure("risk", to=written)
    logging.getLogger("some.library").warning("retrying %s", "soon")
    line = lines_of(written)[0]
    assert (line["event"], line["library"], line["detail"]) == ("library_log", "some.library", "retrying soon")
