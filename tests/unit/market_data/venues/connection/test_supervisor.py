"""Adaptive timeouts: longer after each miss, up to a bound, and shorter again with data."""

from components.market_data.venues.connection.supervisor import AdaptiveTimeouts


def test_the_first_data_timeout_doubles_up_to_its_bound_and_shrinks_with_data() -> None:
    timeouts = AdaptiveTimeouts(first_data_ms=100, no_data_ms=200, timeout_ms_max=500, healthy_ms=1_000)
    waits = []
    for _ in range(4):
        waits.append(timeouts.first_data_timeout_ms("book"))
        timeouts.on_no_first_data("book")
    assert waits == [100, 200, 400, 500]
    assert timeouts.first_data_timeout_ms("other") == 100
    timeouts.on_first_data("book")
    timeouts.on_first_data("book")
    assert timeouts.first_data_timeout_ms("book") == 400


def test_the_no_data_timeout_grows_until_data_flows_without_a_long_gap() -> None:
    timeouts = AdaptiveTimeouts(first_data_ms=100, no_data_ms=200, timeout_ms_max=500, healthy_ms=1_000)
    timeouts.on_no_data()
    timeouts.on_no_data()
    assert timeouts.no_data_timeout_ms == 500
    assert timeouts.on_disconnect(5_000, gap_ms_max=150)
    assert timeouts.no_data_timeout_ms == 500
    assert not timeouts.on_disconnect(999, gap_ms_max=10)
    assert timeouts.on_disconnect(1_000, gap_ms_max=10)
    assert timeouts.no_data_timeout_ms == 200
