"""Reads one sample from a process's metrics, as a monitor would."""

from prometheus_client.parser import text_string_to_metric_families

from components.runtime.metrics import Metrics


def metric_value(metrics: Metrics, name: str, **labels: str) -> float:
    """Return the sample of this name with exactly these labels; 0 if it does not exist."""
    text = metrics.exposition().decode()
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    found = (sample.value for sample in samples if (sample.name, sample.labels) == (f"xtrader_{name}", labels))
    return next(found, 0.0)
