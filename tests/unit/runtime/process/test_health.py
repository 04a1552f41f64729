"""The loop reports liveness and readiness; the pages and the ready file show them."""

import os
from pathlib import Path

import msgspec
import pytest

from components.runtime.metrics import Metrics
from components.runtime.process.health import HealthState, Page, health_pages
from tests.support.manual_clock import ManualClock


class ServedHealth:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics("risk", "1")
        self.file = folder / "risk.ready"
        self.health = HealthState(self.clock, self.file, self.metrics.ready)
        self._pages = health_pages(self.health, self.metrics, stale_ms=15_000)

    def page(self, path: str) -> Page:
        return self._pages[path]()

    def ready(self) -> tuple[int, object]:
        page = self.page("/readyz")
        return page.status, msgspec.json.decode(page.body)


@pytest.fixture
def served(tmp_path: Path) -> ServedHealth:
    return ServedHealth(tmp_path)


def test_a_starting_process_lives_and_is_not_ready(served: ServedHealth) -> None:
    served.clock.advance_ms(60_000)
    assert served.page("/healthz").status == 200
    assert served.ready() == (503, {"ready": False, "unmet": ["starting"]})


def test_readiness_names_what_is_unmet(served: ServedHealth) -> None:
    served.health.report(("positions reconciled", "prices fresh"))
    assert served.ready() == (503, {"ready": False, "unmet": ["positions reconciled", "prices fresh"]})
    assert not served.file.exists()


def test_nothing_unmet_is_ready(served: ServedHealth) -> None:
    served.health.report(())
    assert served.ready() == (200, {"ready": True, "unmet": []})
    assert served.file.exists()
    assert b"xtrader_ready 1.0" in served.page("/metrics").body


def test_a_loop_that_no_longer_turns_is_neither_alive_nor_ready(served: ServedHealth) -> None:
    served.health.report(())
    served.clock.advance_ms(15_001)
    assert served.page("/healthz").status == 503
    assert served.ready() == (503, {"ready": False, "unmet": ["loop"]})


def test_the_ready_file_is_renewed_about_once_a_second(served: ServedHealth) -> None:
    served.health.report(())
    os.utime(served.file, (0, 0))
    served.clock.advance_ms(999)
    served.health.report(())
    assert served.file.stat().st_mtime == 0
    served.clock.advance_ms(1)
    served.health.report(())
    assert served.file.stat().st_mtime > 0


def test_a_ready_file_that_was_swept_away_comes_back(served: ServedHealth) -> None:
    served.health.report(())
    served.file.unlink()
    served.clock.advance_ms(1_000)
    served.health.report(())
    assert served.file.exists()


def test_the_ready_file_goes_when_readiness_does(served: ServedHealth) -> None:
    for unmet in ((), ("prices fresh",)):
        served.health.report(unmet)
    assert not served.file.exists()
    served.health.report(())
    served.health.stop()
    assert not served.file.exists()
    assert served.ready()[0] == 503
