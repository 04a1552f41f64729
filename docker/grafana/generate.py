#!/usr/bin/env python3
"""Writes the Overview dashboard: change it here, run this, commit both."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parent / "dashboards" / "overview.json"
COLUMNS: Final = 24
DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
ROW: Final[dict[str, Any]] = {"type": "row", "collapsed": False, "panels": []}
STATES: Final = {"0": ("active", "green"), "1": ("reducing", "orange"), "2": ("halted", "red")}


@dataclass(frozen=True)
class Query:
    """One expression and the name of what it draws."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture; `bad_from` colours what is at or above it."""

    title: str
    says: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    bad_from: float | None = None
    names: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A heading over what follows."""

    title: str
    says: str


def number(title: str, says: str, unit: str, expr: str, **more: Any) -> Panel:  # noqa: ANN401  # Panel's own
    """Draw one number, as large as it matters."""
    return Panel(
        title=title, says=says, unit=unit, queries=(Query(expr),), kind="stat", **{"width": 4, "height": 4} | more
    )


def rate(metric: str, *labels: str) -> str:
    """Count a second, summed over everything but these labels."""
    return f"sum by ({', '.join(labels)}) (rate({metric}[$__rate_interval]))"


def quantiles(metric: str) -> tuple[Query, ...]:
    """Draw the median and the slowest hundredth of a span of time."""
    buckets = f"sum by (le) (rate({metric}_bucket[$__rate_interval]))"
    return tuple(Query(f"histogram_quantile({q}, {buckets})", name) for q, name in ((0.5, "p50"), (0.99, "p99")))


def last_hour(metric: str, among: str = "") -> str:
    """Count what there was in an hour; what never happened has no series, and is 0."""
    return f"sum(increase({metric}{among}[1h])) or vector(0)"


def rate_of_kinds(metric: str, kind: str, *, among: str = "") -> tuple[Query, ...]:
    """Draw the rate of each kind at each venue."""
    return (Query(rate(metric + among, "venue", kind), f"{{{{venue}}}}: {{{{{kind}}}}}"),)


UNWANTED: Final = '{outcome!~"changes|applied|images|stale"}'
"""Of what happens to a book, what should not."""

TRADING: Final = (
    number(
        "Trading", "The worst of all present causes decides.", "none", "max(xtrader_risk_trading_state)", names=STATES
    ),
    number("Ready", "Components that wait for nothing; four are all.", "none", "sum(xtrader_ready)"),
    number("Unknown orders", "Only the venue knows their outcome.", "none", "sum(xtrader_orders_unknown)", bad_from=1),
    number("Lost messages", "Missing on any stream.", "none", "sum(xtrader_bus_missing_total)", bad_from=1),
    number(
        "Since reconciled",
        "Since journal and venue were last found equal.",
        "s",
        "time() - max(xtrader_reconciled_timestamp_seconds)",
        bad_from=90,
    ),
    number(
        "Result",
        "Realised and unrealised.",
        "currencyUSD",
        "sum(xtrader_risk_realised_dollars) + sum(xtrader_risk_unrealised_dollars)",
    ),
    Panel(
        title="Tick to order",
        says="From the venue's frame with the tick to the intent on execution's disk.",
        unit="s",
        queries=quantiles("xtrader_tick_to_order_seconds"),
    ),
    Panel(
        title="Decision",
        says="From a request to risk to its answer, on disk.",
        unit="s",
        queries=quantiles("xtrader_risk_decision_seconds"),
    ),
    Panel(
        title="Venue",
        says="From sending an order to the venue's answer.",
        unit="s",
        queries=quantiles("xtrader_submit_seconds"),
    ),
    Panel(
        title="Market",
        says="Quotes published, and predictions made on them.",
        unit="ops",
        queries=(
            Query(rate("xtrader_market_quotes_total", "service"), "quotes from {{service}}"),
            Query(rate("xtrader_signals_predictions_total", "service"), "predictions by {{service}}"),
        ),
    ),
    Panel(
        title="Verdicts",
        says="What risk answered: allowed, or each check that did not hold.",
        unit="ops",
        queries=(Query(rate("xtrader_signals_verdicts_total", "outcome"), "{{outcome}}"),),
    ),
    Panel(
        title="Orders",
        says="Orders that came into a state, and fills by where they were heard of.",
        unit="ops",
        queries=(
            Query(rate("xtrader_orders_total", "state"), "{{state}}"),
            Query(rate("xtrader_fills_total", "source"), "filled, by {{source}}"),
        ),
    ),
    Panel(
        title="Positions",
        says="Shares held, as risk counts them.",
        unit="none",
        queries=(Query("sum by (symbol) (xtrader_risk_position_quantity)", "{{symbol}}"),),
    ),
    Panel(
        title="Result over time",
        says="In dollars; unrealised at the last quotes.",
        unit="currencyUSD",
        queries=(
            Query("sum(xtrader_risk_realised_dollars)", "realised"),
            Query("sum(xtrader_risk_unrealised_dollars)", "unrealised"),
        ),
    ),
    Panel(
        title="Causes",
        says="1 while the cause keeps trading from being free.",
        unit="none",
        queries=(Query("max by (cause) (xtrader_risk_cause)", "{{cause}}"),),
    ),
    Panel(
        title="Bus",
        says="Messages heard, by stream.",
        unit="ops",
        queries=(Query(rate("xtrader_bus_received_total", "stream"), "{{stream}}"),),
    ),
    Panel(
        title="Behind",
        says="How far each hearer is behind, as it says itself.",
        unit="none",
        queries=(
            Query("max by (stream, subscriber) (xtrader_bus_subscriber_lag_messages)", "{{subscriber}}: {{stream}}"),
        ),
    ),
    Panel(
        title="Processes",
        says="Cores used.",
        unit="none",
        queries=(Query(rate("process_cpu_seconds_total", "service"), "{{service}}"),),
    ),
)

BOOKS: Final = (
    number("Books in sync", "Of all crypto venues.", "none", "sum(xtrader_market_books_synced)"),
    number("Venues heard", "Every connection of theirs is subscribed.", "none", "sum(xtrader_market_venue_live)"),
    number(
        "Left alone",
        "Doors of venues at which the breaker is open.",
        "none",
        "sum(xtrader_venue_breaker_state == bool 2)",
        bad_from=1,
    ),
    number(
        "Gaps in an hour",
        "Changes of books that were never heard; each book was fetched anew.",
        "none",
        last_hour("xtrader_market_book_events_total", '{outcome="gaps"}'),
    ),
    number(
        "Told to wait in an hour",
        "Answers 418 and 429.",
        "none",
        last_hour("xtrader_venue_retry_after_total"),
        bad_from=1,
    ),
    number(
        "Dropped in an hour",
        "What gave way in a full queue; never a change of a book.",
        "none",
        last_hour("xtrader_venue_queue_drops_total", '{policy!="conflate"}'),
        bad_from=1,
    ),
    Panel(
        title="Books in sync by venue",
        says="A book that is not in sync is not published.",
        unit="none",
        queries=(Query("sum by (venue) (xtrader_market_books_synced)", "{{venue}}"),),
    ),
    Panel(
        title="Changes",
        says="Changes of books that were applied.",
        unit="ops",
        queries=(Query(rate('xtrader_market_book_events_total{outcome="applied"}', "venue"), "{{venue}}"),),
    ),
    Panel(
        title="Trouble in books",
        says="Gaps, crossed books, unreadable changes, and what followed from them.",
        unit="ops",
        queries=rate_of_kinds("xtrader_market_book_events_total", "outcome", among=UNWANTED),
    ),
    Panel(
        title="Connections",
        says="Those that ended or never came to be, and why.",
        unit="ops",
        queries=rate_of_kinds("xtrader_venue_drops_total", "ending"),
    ),
    Panel(
        title="Requests to venues",
        says="By what came of them.",
        unit="ops",
        queries=rate_of_kinds("xtrader_venue_requests_total", "outcome"),
    ),
    Panel(
        title="Odd parts of frames",
        says="What had no effect but to be counted.",
        unit="ops",
        queries=rate_of_kinds("xtrader_market_odd_total", "kind"),
    ),
    Panel(
        title="Received",
        says="Bytes of frames.",
        unit="Bps",
        queries=(Query(rate("xtrader_venue_bytes_total", "venue"), "{{venue}}"),),
    ),
    Panel(
        title="Audits",
        says="Books held against a fetched image; one that differs is fetched anew.",
        unit="ops",
        queries=rate_of_kinds("xtrader_market_book_audits_total", "verdict"),
    ),
    Panel(
        title="Frames",
        says="Frames received.",
        unit="ops",
        queries=(Query(rate("xtrader_venue_frames_total", "venue"), "{{venue}}"),),
    ),
)

PANELS: Final[tuple[Panel | Row, ...]] = (
    *TRADING,
    Row("Crypto books", "Empty where no crypto venue is listened to."),
    *BOOKS,
)


def dashboard() -> dict[str, Any]:
    """Give the whole dashboard as Grafana reads it."""
    return {
        "uid": "xtrader-overview",
        "title": "xtrader: overview",
        "description": "Whether it trades, how fast, and what keeps it from trading.",
        "tags": ["xtrader"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-15m", "to": "now"},
        "timezone": "browser",
        "templating": {
            "list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}]
        },
        "annotations": {"list": []},
        "panels": list(panels()),
    }


def panels() -> Iterator[dict[str, Any]]:
    """Lay the panels out from left to right, line under line; a row has a line of its own."""
    x = y = line_height = 0
    for number_, panel in enumerate(PANELS, start=1):
        width, height = (COLUMNS, 1) if isinstance(panel, Row) else (panel.width, panel.height)
        if x + width > COLUMNS:
            x, y, line_height = 0, y + line_height, 0
        place = {"x": x, "y": y, "w": width, "h": height}
        x, line_height = x + width, max(line_height, height)
        about = {"id": number_, "title": panel.title, "description": panel.says, "gridPos": place}
        yield about | (ROW if isinstance(panel, Row) else _drawn(panel))


def text() -> str:
    """Give the file's content."""
    return json.dumps(dashboard(), indent=2, sort_keys=True) + "\n"


def _drawn(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "datasource": DATASOURCE,
        "targets": [_target(query, letter) for query, letter in zip(panel.queries, "ABCDEF", strict=False)],
        "fieldConfig": {"defaults": _look(panel), "overrides": []},
        "options": _options(panel),
    }


def _target(query: Query, letter: str) -> dict[str, Any]:
    return {"refId": letter, "datasource": DATASOURCE, "expr": query.expr, "legendFormat": query.legend or "__auto"}


def _look(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bad_from is not None:
        steps.append({"color": "red", "value": panel.bad_from})
    named = {value: {"text": word, "color": colour} for value, (word, colour) in panel.names.items()}
    return {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": [{"type": "value", "options": named}] if named else [],
    }


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "colorMode": "background"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
