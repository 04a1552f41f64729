"""Each executable has its own registry, with fixed names."""

from itertools import pairwise

import pytest

from components.contracts.errors import InvariantError
from components.runtime.metrics import LATENCY_BUCKETS_S, VENUE_BUCKETS_S, Metrics


def test_every_executable_exposes_its_build() -> None:
    text = Metrics("risk", "1.2.3").exposition().decode()
    assert 'xtrader_build_info{component="risk",python="' in text
    assert "xtrader_up 1.0" in text
    assert "xtrader_ready 0.0" in text
    assert "process_resident_memory_bytes" in text


def test_two_executables_in_one_interpreter_do_not_share() -> None:
    Metrics("risk", "1").counter("intents_total", "Intents.").inc()
    assert b"intents_total" not in Metrics("execution", "1").exposition()


def test_a_name_requested_twice_is_the_same_metric() -> None:
    metrics = Metrics("risk", "1")
    metrics.counter("intents_total", "Intents.", ("outcome",)).labels("allowed").inc()
    metrics.counter("intents_total", "Intents.", ("outcome",)).labels("allowed").inc()
    assert b'xtrader_intents_total{outcome="allowed"} 2.0' in metrics.exposition()


def test_a_name_requested_as_another_type_is_a_bug() -> None:
    metrics = Metrics("risk", "1")
    metrics.counter("intents_total", "Intents.")
    with pytest.raises(InvariantError, match="metric intents_total is a Counter, not a Gauge"):
        metrics.gauge("intents_total", "Intents.")


@pytest.mark.parametrize(("buckets", "first_s"), [(LATENCY_BUCKETS_S, 50e-6), (VENUE_BUCKETS_S, 5e-3)])
def test_buckets_double(buckets: tuple[float, ...], first_s: float) -> None:
    assert buckets[0] == first_s
    assert all(after == 2 * before for before, after in pairwise(buckets))
