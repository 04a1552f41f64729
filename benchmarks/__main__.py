"""Measures every speed target against its floor in the same run; prints a table and writes var/bench.json."""

import argparse
import json
import platform
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = (
    "bus",
    "risk_decision",
    "journal",
    "tick_to_order",
    "memory",
    "order_book",
    "book_pipeline",
    "venue_adapters",
)
REPORT = Path(__file__).resolve().parents[1] / "var" / "bench.json"
COLUMNS = ("name", "value", "unit", "reference", "ratio", "bound", "holds")


def main() -> int:
    """Run the selected modules; a bound that does not hold is printed as such and is no error."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=MODULES, action="append", help="run these modules alone")
    parser.add_argument("--smoke", action="store_true", help="one short round of each, to see that it runs; no report")
    arguments = parser.parse_args()
    wanted = arguments.only or MODULES
    print(f"python {platform.python_version()}, {platform.machine()}, load {_load()}", file=sys.stderr)
    found: list[dict[str, Any]] = []
    for name in wanted:
        started = time.monotonic()
        module = import_module(f"benchmarks.{name}")
        if arguments.smoke:
            vars(module).update(getattr(module, "SMOKE", {}))
        found += module.rows()
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(_table(found))
    if arguments.smoke:
        return 0
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _load() -> str:
    return Path("/proc/loadavg").read_text().split()[0]


def _table(found: list[dict[str, Any]]) -> str:
    cells = [COLUMNS, *(tuple(_text(row[column]) for column in COLUMNS) for row in found)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def _text(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "NO"
        case float():
            return f"{value:,.2f}"
        case _:
            return str(value)


if __name__ == "__main__":
    sys.exit(main())
