"""A component's metrics page is read as it was written."""

import pytest

from components.xtrader.exposition import Histogram, histogram_of, parse_metrics, sum_samples

PAGE = """# HELP xtrader_bus_gaps_total lost
# TYPE xtrader_bus_gaps_total counter
xtrader_bus_gaps_total{stream="market"} 2.0
xtrader_bus_gaps_total{stream="or\\"ders"} 1.0
xtrader_hop_seconds_bucket{le="0.001"} 2.0
xtrader_hop_seconds_bucket{le="0.002"} 4.0
xtrader_hop_seconds_bucket{le="+Inf"} 4.0
xtrader_hop_seconds_sum 0.005
xtrader_up 1.0
"""


def test_a_counter_is_added_over_its_labels() -> None:
    assert sum_samples(parse_metrics(PAGE), "xtrader_bus_gaps_total") == 3


def test_a_sample_without_labels_is_read() -> None:
    assert sum_samples(parse_metrics(PAGE), "xtrader_up") == 1


def test_a_quantile_is_linear_inside_its_bucket() -> None:
    assert histogram_of(parse_metrics(PAGE), "xtrader_hop_seconds").quantile(0.75) == pytest.approx(0.0015)


def test_a_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert Histogram({0.001: 1.0, float("inf"): 10.0}).quantile(0.99) == pytest.approx(0.001)


def test_nothing_counted_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None
