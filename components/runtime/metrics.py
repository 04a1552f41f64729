"""The Prometheus registry of one process: counters, gauges and histograms with fixed names."""

import platform
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

from components.contracts.errors import InvariantError

PREFIX: Final = "xtrader_"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS_S: Final = tuple(50e-6 * 2**step for step in range(14))
"""50 us to 0.4 s, for bus hops, decisions and syncs."""
TICK_TO_ORDER_BUCKETS_S: Final = tuple(50e-6 * 2 ** (step / 4) for step in range(57))
"""50 us to 0.8 s in quarter steps, for the latency that is promised: its median is read to a few per cent."""
VENUE_BUCKETS_S: Final = tuple(5e-3 * 2**step for step in range(13))
"""5 ms to 20 s, for requests to a venue."""
AnyMetric = TypeVar("AnyMetric", bound=MetricWrapperBase)


class Metrics:
    """The metrics of one executable. A second request for a name returns the same metric."""

    def __init__(self, component: str, version: str) -> None:
        """Create the metrics that every executable has."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left its annotation out
        self._registry = CollectorRegistry()
        self._registered: dict[str, MetricWrapperBase] = {}
        ProcessCollector(registry=self._registry)
        build = self.gauge("build_info", "What runs.", ("component", "version", "python"))
        build.labels(component, version, platform.python_version()).set(1)
        self.up = self.gauge("up", "1 from the start of the process to its end.")
        self.up.set(1)
        self.ready = self.gauge("ready", "1 while nothing that readiness needs is unmet.")

    def counter(self, name: str, text: str, labels: Sequence[str] = ()) -> Counter:
        """Return a counter.

        Label values are enum values or names from the tables only, so that their number is bounded.
        """
        return self._register(Counter, name, lambda: Counter(PREFIX + name, text, labels, registry=self._registry))

    def gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        """Return a gauge."""
        return self._register(Gauge, name, lambda: Gauge(PREFIX + name, text, labels, registry=self._registry))

    def histogram(
        self, name: str, text: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = LATENCY_BUCKETS_S
    ) -> Histogram:
        """Return a histogram of durations in seconds."""
        return self._register(
            Histogram, name, lambda: Histogram(PREFIX + name, text, labels, buckets=buckets, registry=self._registry)
        )

    def exposition(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self._registry)

    def _register(self, kind: type[AnyMetric], name: str, make: Callable[[], AnyMetric]) -> AnyMetric:
        made = self._registered.get(name) or make()
        if not isinstance(made, kind):
            raise InvariantError(f"metric {name} is a {type(made).__name__}, not a {kind.__name__}")
        self._registered[name] = made
        return made
