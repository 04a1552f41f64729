"""The loop says that it lives and whether it is ready; a small file says so to whoever only looks at files."""

import os
from pathlib import Path

import msgspec
import pytest

from components.runtime.metrics import Metrics
from components.runtime.process.health import HealthState, Page, health_pages
from tests.support.manual_clock import ManualClock


class Living:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics("risk", "1")
        self.file = folder / "risk.ready"
        self.pulse = HealthState(self.clock, self.file, self.metrics.ready)
        self._pages = health_pages(self.pulse, self.metrics, stale_ms=15_000)

    def page(self, path: str) -> Page:
        return self._pages[path]()

    def ready(self) -> tuple[int, object]:
        page = self.page("/readyz")
        return page.status, msgspec.json.decode(page.body)


@pytest.fixture
def living(tmp_path: Path) -> Living:
    return Living(tmp_path)


def test_a_starting_process_lives_and_is_not_ready(living: Living) -> None:
    living.clock.advance_ms(60_000)
    assert living.page("/healthz").status == 200
    assert living.ready() == (503, {"ready": False, "unmet": ["starting"]})


def test_readiness_names_what_is_unmet(living: Living) -> None:
    living.pulse.report(("positions reconciled", "prices fresh"))
    assert living.ready() == (503, {"ready": False, "unmet": ["positions reconciled", "prices fresh"]})
    assert not living.file.exists()


def test_nothing_unmet_is_ready(living: Living) -> None:
    living.pulse.report(())
    assert living.ready() == (200, {"ready": True, "unmet": []})
    assert living.file.exists()
    assert b"xtrader_ready 1.0" in living.page("/metrics").body


def test_a_loop_that_no_longer_turns_is_neither_alive_nor_ready(living: Living) -> None:
    living.pulse.report(())
    living.clock.advance_ms(15_001)
    assert living.page("/healthz").status == 503
    assert living.ready() == (503, {"ready": False, "unmet": ["loop"]})


def test_the_ready_file_is_renewed_about_once_a_second(living: Living) -> None:
    living.pulse.report(())
    os.utime(living.file, (0, 0))
    living.clock.advance_ms(999)
    living.pulse.report(())
    assert living.file.stat().st_mtime == 0
    living.clock.advance_ms(1)
    living.pulse.report(())
    assert living.file.stat().st_mtime > 0


def test_a_ready_file_that_was_swept_away_comes_back(living: Living) -> None:
    living.pulse.report(())
    living.file.unlink()
    living.clock.advance_ms(1_000)
    living.pulse.report(())
    assert living.file.exists()


def test_the_ready_file_goes_when_readiness_does(living: Living) -> None:
    for unmet in ((), ("prices fresh",)):
        living.pulse.report(unmet)
    assert not living.file.exists()
    living.pulse.report(())
    living.pulse.stop()
    assert not living.file.exists()
    assert living.ready()[0] == 503
