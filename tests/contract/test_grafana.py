"""The committed dashboard is what its script generates, has no overlaps, and shows only metrics that exist."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

from docker.grafana.generate import COLUMNS, FILE, dashboard, text

PROJECT = Path(__file__).resolve().parents[2]
GRAFANA = PROJECT / "docker" / "grafana"
LIBRARY_METRICS = {"process_cpu_seconds", "process_start_time_seconds"}
METRIC = re.compile(r"\b(?:xtrader|process)_[a-z_]+\b")
SERIES_OF = re.compile(r"_(total|bucket)$")


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard()["panels"]
    return found


def drawn() -> list[dict[str, Any]]:
    """Return all panels but the headings."""
    return [panel for panel in panels() if panel["type"] != "row"]


def expressions() -> list[str]:
    return [target["expr"] for panel in drawn() for target in panel["targets"]]


def counted_names() -> set[str]:
    """Return every name of a counter, gauge or histogram in the code, as Prometheus shows it."""
    sources = "\n".join(file.read_text() for file in (PROJECT / "components").rglob("*.py"))
    names = re.findall(r"\.(?:counter|gauge|histogram)\(\s*\"([a-z_]+)\"", sources)
    bus = re.search(r"HELP: Final = \{(.*?)\n\}", sources, re.DOTALL)
    assert bus is not None
    names += [f"bus_{name}" for name in re.findall(r'^    "([a-z_]+)":', bus[1], re.MULTILINE)]
    return {f"xtrader_{name.removesuffix('_total')}" for name in names}


def metrics_of(expressions: list[str]) -> set[str]:
    return {SERIES_OF.sub("", name) for one in expressions for name in METRIC.findall(one)}


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
    below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    return not (beside or below)


def test_the_committed_dashboard_is_what_the_script_generates() -> None:
    assert FILE.read_text() == text(), "run docker/grafana/generate.py and commit what it writes"


def test_no_two_panels_have_one_id_or_overlap() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    for one, other in combinations(panels(), 2):
        assert not overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def test_every_panel_has_a_description_and_a_unit() -> None:
    for panel in panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
    for panel in drawn():
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]


def test_counters_are_only_shown_as_rates_or_sums_of_what_is_missing() -> None:
    bare = [one for one in expressions() if re.search(r"_(total|bucket)\b(?!(\{[^}]*\})?\[)", one)]
    assert bare == ["sum(xtrader_bus_missing_total)"]


def test_every_metric_of_the_dashboard_exists_in_the_code() -> None:
    assert metrics_of(expressions()) - LIBRARY_METRICS <= counted_names()


def test_every_metric_of_an_alert_exists_in_the_code() -> None:
    rules = (PROJECT / "docker" / "prometheus" / "rules.yml").read_text()
    watched = re.findall(r"expr: (.*(?:\n {10}.*)*)", rules)
    assert len(watched) == rules.count("- alert:")
    assert metrics_of(watched) - LIBRARY_METRICS <= counted_names()


def test_a_heading_has_a_row_of_its_own() -> None:
    headings = [panel["gridPos"] for panel in panels() if panel["type"] == "row"]
    assert headings
    assert all((place["x"], place["w"], place["h"]) == (0, COLUMNS, 1) for place in headings)


def test_what_is_provisioned_is_there() -> None:
    provider = (GRAFANA / "provisioning" / "dashboards" / "xtrader.yml").read_text()
    compose = (PROJECT / "docker" / "docker-compose.yml").read_text()
    assert "path: /var/lib/grafana/dashboards" in provider
    assert "./grafana/dashboards:/var/lib/grafana/dashboards:ro" in compose
    assert f"/var/lib/grafana/dashboards/{FILE.name}" in compose
    assert json.loads(FILE.read_text())["uid"] == "xtrader-overview"
