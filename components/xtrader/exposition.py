"""Reads what a component's /metrics page says: totals, and quantiles of a histogram."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_LINE: Final = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One line of the page."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram's cumulative counts by upper bound; adding joins processes and runs."""

    counts: Mapping[float, float] = field(default_factory=dict)

    def quantile(self, share: float) -> float | None:
        """Give the value below which this share lies, linear inside its bucket; None when nothing was counted."""
        bounds = sorted(self.counts)
        if not bounds or self.counts[bounds[-1]] == 0:
            return None
        wanted = share * self.counts[bounds[-1]]
        lower, below = 0.0, 0.0
        for bound in bounds:
            here = self.counts[bound]
            if here >= wanted and here > below:
                upper = lower if math.isinf(bound) else bound
                return lower + (upper - lower) * (wanted - below) / (here - below)
            lower, below = bound, here
        return lower


def parse_metrics(page: str) -> list[MetricSample]:
    """Read every sample of the page; comments are skipped."""
    found = (_LINE.match(line) for line in page.splitlines() if not line.startswith("#"))
    return [
        MetricSample(match["name"], dict(_LABEL.findall(match["labels"] or "")), float(match["value"]))
        for match in found
        if match
    ]


def sum_samples(samples: list[MetricSample], name: str) -> float:
    """Add a counter up over all its labels."""
    return sum(sample.value for sample in samples if sample.name == name)


def histogram_of(samples: list[MetricSample], name: str) -> Histogram:
    """Collect one histogram over all its labels."""
    counts: dict[float, float] = {}
    for sample in samples:
        if sample.name == f"{name}_bucket":
            bound = float(sample.labels["le"])
            counts[bound] = counts.get(bound, 0.0) + sample.value
    return Histogram(counts)
