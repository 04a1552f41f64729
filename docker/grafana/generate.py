#!/usr/bin/env python3
"""Generate the Overview dashboard: change this file, run it, commit both files."""

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
    """A PromQL expression and the legend of its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel; values at or above `bad_from` are red."""

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    width: int = 8
    height: int = 7
    bad_from: float | None = None
    names: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A heading above the panels that follow."""

    title: str
    description: str


def stat_panel(title: str, description: str, unit: str, expr: str, **more: Any) -> Panel:  # noqa: ANN401  # Panel's own
    """Return a panel that shows a single number."""
    return Panel(
        title=title,
        description=description,
        unit=unit,
        queries=(Query(expr),),
        kind="stat",
        **{"width": 4, "height": 4} | more,
    )


def rate(metric: str, *labels: str) -> str:
    """Return the rate of a counter per second, summed over all labels but these."""
    return f"sum by ({', '.join(labels)}) (rate({metric}[$__rate_interval]))"


def quantiles(metric: str) -> tuple[Query, ...]:
    """Return queries for p50 and p99 of a histogram."""
    buckets = f"sum by (le) (rate({metric}_bucket[$__rate_interval]))"
    return tuple(Query(f"histogram_quantile({q}, {buckets})", name) for q, name in ((0.5, "p50"), (0.99, "p99")))


def last_hour(metric: str, among: str = "") -> str:
    """Return the increase of a counter in an hour; 0 if it has no series yet."""
    return f"sum(increase({metric}{among}[1h])) or vector(0)"


def rate_of_kinds(metric: str, kind: str, *, among: str = "") -> tuple[Query, ...]:
    """Return a query for the rate of each kind at each venue."""
    return (Query(rate(metric + among, "venue", kind), f"{{{{venue}}}}: {{{{{kind}}}}}"),)


UNEXPECTED: Final = '{outcome!~"updates|applied|snapshots|stale"}'
"""The events of a book that normal operation does not have."""

TRADING: Final = (
    stat_panel(
        "Trading", "The most severe active cause decides.", "none", "max(xtrader_risk_trading_state)", names=STATES
    ),
    stat_panel("Ready", "Components that are ready; four are all.", "none", "sum(xtrader_ready)"),
    stat_panel(
        "Unknown orders", "Only the venue knows their outcome.", "none", "sum(xtrader_orders_unknown)", bad_from=1
    ),
    stat_panel("Lost messages", "Missing on any stream.", "none", "sum(xtrader_bus_missing_total)", bad_from=1),
    stat_panel(
        "Since reconciled",
        "Since journal and venue were last found equal.",
        "s",
        "time() - max(xtrader_reconciled_timestamp_seconds)",
        bad_from=90,
    ),
    stat_panel(
        "P&L",
        "Realised and unrealised.",
        "currencyUSD",
        "sum(xtrader_risk_realised_dollars) + sum(xtrader_risk_unrealised_dollars)",
    ),
    Panel(
        title="Tick to order",
        description="From the venue's frame with the tick to the intent on execution's disk.",
        unit="s",
        queries=quantiles("xtrader_tick_to_order_seconds"),
    ),
    Panel(
        title="Decision",
        description="From a request to risk to its durable reply.",
        unit="s",
        queries=quantiles("xtrader_risk_decision_seconds"),
    ),
    Panel(
        title="Venue",
        description="From submitting an order to the venue's response.",
        unit="s",
        queries=quantiles("xtrader_submit_seconds"),
    ),
    Panel(
        title="Market",
        description="Quotes published, and predictions made on them.",
        unit="ops",
        queries=(
            Query(rate("xtrader_market_quotes_total", "service"), "quotes from {{service}}"),
            Query(rate("xtrader_signals_predictions_total", "service"), "predictions by {{service}}"),
        ),
    ),
    Panel(
        title="Decisions",
        description="Replies of risk: allowed, or each check that failed.",
        unit="ops",
        queries=(Query(rate("xtrader_signals_replies_total", "outcome"), "{{outcome}}"),),
    ),
    Panel(
        title="Orders",
        description="Orders that entered a state, and fills by source.",
        unit="ops",
        queries=(
            Query(rate("xtrader_orders_total", "state"), "{{state}}"),
            Query(rate("xtrader_fills_total", "source"), "filled, by {{source}}"),
        ),
    ),
    Panel(
        title="Positions",
        description="Shares held, as risk counts them.",
        unit="none",
        queries=(Query("sum by (symbol) (xtrader_risk_position_quantity)", "{{symbol}}"),),
    ),
    Panel(
        title="P&L over time",
        description="In dollars; unrealised at the last quotes.",
        unit="currencyUSD",
        queries=(
            Query("sum(xtrader_risk_realised_dollars)", "realised"),
            Query("sum(xtrader_risk_unrealised_dollars)", "unrealised"),
        ),
    ),
    Panel(
        title="Causes",
        description="1 while the cause is active.",
        unit="none",
        queries=(Query("max by (cause) (xtrader_risk_cause)", "{{cause}}"),),
    ),
    Panel(
        title="Bus",
        description="Messages received, by stream.",
        unit="ops",
        queries=(Query(rate("xtrader_bus_received_total", "stream"), "{{stream}}"),),
    ),
    Panel(
        title="Subscriber lag",
        description="Messages that each subscriber is behind, as it reports.",
        unit="none",
        queries=(
            Query("max by (stream, subscriber) (xtrader_bus_subscriber_lag_messages)", "{{subscriber}}: {{stream}}"),
        ),
    ),
    Panel(
        title="Processes",
        description="Cores used.",
        unit="none",
        queries=(Query(rate("process_cpu_seconds_total", "service"), "{{service}}"),),
    ),
)

BOOKS: Final = (
    stat_panel("Books in sync", "Of all crypto venues.", "none", "sum(xtrader_market_books_synced)"),
    stat_panel("Venues live", "Every connection of the venue is subscribed.", "none", "sum(xtrader_market_venue_live)"),
    stat_panel(
        "Circuits open",
        "Transports of venues whose circuit breaker is open.",
        "none",
        "sum(xtrader_venue_breaker_state == bool 2)",
        bad_from=1,
    ),
    stat_panel(
        "Gaps in an hour",
        "Updates of books that were lost; each of these books was resynchronised.",
        "none",
        last_hour("xtrader_market_book_events_total", '{outcome="gaps"}'),
    ),
    stat_panel(
        "Rate limited in an hour",
        "Responses 418 and 429.",
        "none",
        last_hour("xtrader_venue_retry_after_total"),
        bad_from=1,
    ),
    stat_panel(
        "Dropped in an hour",
        "Messages dropped by a full queue; never a book update.",
        "none",
        last_hour("xtrader_venue_queue_drops_total", '{policy!="conflate"}'),
        bad_from=1,
    ),
    Panel(
        title="Books in sync by venue",
        description="A book that is not in sync is not published.",
        unit="none",
        queries=(Query("sum by (venue) (xtrader_market_books_synced)", "{{venue}}"),),
    ),
    Panel(
        title="Updates",
        description="Book updates that were applied.",
        unit="ops",
        queries=(Query(rate('xtrader_market_book_events_total{outcome="applied"}', "venue"), "{{venue}}"),),
    ),
    Panel(
        title="Book failures",
        description="Gaps, crossed books, undecodable updates, and the resyncs that followed.",
        unit="ops",
        queries=rate_of_kinds("xtrader_market_book_events_total", "outcome", among=UNEXPECTED),
    ),
    Panel(
        title="Disconnects",
        description="Connections that ended or failed, by reason.",
        unit="ops",
        queries=rate_of_kinds("xtrader_venue_disconnects_total", "reason"),
    ),
    Panel(
        title="Requests to venues",
        description="By outcome.",
        unit="ops",
        queries=rate_of_kinds("xtrader_venue_requests_total", "outcome"),
    ),
    Panel(
        title="Decode issues",
        description="Parts of frames that could not be decoded.",
        unit="ops",
        queries=rate_of_kinds("xtrader_market_decode_issues_total", "kind"),
    ),
    Panel(
        title="Received",
        description="Bytes of frames.",
        unit="Bps",
        queries=(Query(rate("xtrader_venue_bytes_total", "venue"), "{{venue}}"),),
    ),
    Panel(
        title="Audits",
        description="Books compared with a fetched snapshot; one that differs is resynchronised.",
        unit="ops",
        queries=rate_of_kinds("xtrader_market_book_audits_total", "verdict"),
    ),
    Panel(
        title="Frames",
        description="Frames received.",
        unit="ops",
        queries=(Query(rate("xtrader_venue_frames_total", "venue"), "{{venue}}"),),
    ),
)

PANELS: Final[tuple[Panel | Row, ...]] = (
    *TRADING,
    Row("Crypto books", "Empty if no crypto venue is configured."),
    *BOOKS,
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    return {
        "uid": "xtrader-overview",
        "title": "xtrader: overview",
        "description": "Whether the system trades, how fast, and what prevents it.",
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
    """Return the panels, laid out from left to right; a row has a line of its own."""
    x = y = line_height = 0
    for number_, panel in enumerate(PANELS, start=1):
        width, height = (COLUMNS, 1) if isinstance(panel, Row) else (panel.width, panel.height)
        if x + width > COLUMNS:
            x, y, line_height = 0, y + line_height, 0
        position = {"x": x, "y": y, "w": width, "h": height}
        x, line_height = x + width, max(line_height, height)
        about = {"id": number_, "title": panel.title, "description": panel.description, "gridPos": position}
        yield about | (ROW if isinstance(panel, Row) else _drawn(panel))


def text() -> str:
    """Return the content of the dashboard file."""
    return json.dumps(dashboard(), indent=2, sort_keys=True) + "\n"


def _drawn(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "datasource": DATASOURCE,
        "targets": [_target(query, letter) for query, letter in zip(panel.queries, "ABCDEF", strict=False)],
        "fieldConfig": {"defaults": _field_defaults(panel), "overrides": []},
        "options": _options(panel),
    }


def _target(query: Query, letter: str) -> dict[str, Any]:
    return {"refId": letter, "datasource": DATASOURCE, "expr": query.expr, "legendFormat": query.legend or "__auto"}


def _field_defaults(panel: Panel) -> dict[str, Any]:
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
