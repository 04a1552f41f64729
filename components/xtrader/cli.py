"""The umbrella's verbs, and every component's verbs under its name."""

from typing import Any

import click

from components.runtime.cli import LazyGroup, json_option, print_result

LAZY_COMMANDS = {
    "market-data": ("components.market_data.cli:cli", "Venue feeds: run, and look into them."),
    "signals": ("components.signals.cli:cli", "Features and the model: run, and look into them."),
    "risk": ("components.risk.cli:cli", "The only gate: run, look into it, halt and resume."),
    "execution": ("components.execution.cli:cli", "Orders at the venue: run, and look into them."),
    "sandbox": ("components.sandbox.cli:cli", "A local venue that speaks Alpaca's protocols."),
    "config": ("components.xtrader.configuration.cli:config", "What is configured, and where each key comes from."),
    "journal": ("components.xtrader.journal.cli:journal", "Verify a journal's hash chain, or read it."),
    "drill": ("components.xtrader.drills.cli:cli", "Hurt a system of its own, and prove what it kept."),
    "simulate": ("components.xtrader.simulation.cli:simulate", "Crash all four at every effect, in one process."),
}


@click.group(
    cls=LazyGroup, lazy=LAZY_COMMANDS, help="Trade on one machine: start everything, watch it, ask it questions."
)
def cli() -> None:
    """Group the verbs."""


@cli.command()
@click.option("--headless", is_flag=True, help="Plain lines also on a terminal.")
@click.option("--for", "for_s", type=click.FloatRange(min=0), help="Seconds to trade, counted from ready.")
@click.option("--fresh", is_flag=True, help="Set the old state aside (never deleted) and begin anew.")
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True, help="The sandbox's market.")
@click.option("--speed", type=click.FloatRange(min=0, max=1000), help="The sandbox's events per second, as a factor.")
@json_option
def up(*, headless: bool, as_json: bool, **options: Any) -> int:  # noqa: ANN401  # the options above type them
    """Start everything in order of readiness and trade until Ctrl-C or --for; on a terminal with a live view."""
    import sys

    from components.xtrader.summary import format_summary
    from components.xtrader.wiring import run_trading

    live = not headless and sys.stdout.isatty()
    result = run_trading(as_json=as_json, live=live, **options)
    print_result(result, as_json=as_json, text=format_summary(result))
    return 0 if result["ok"] else 1


@cli.command()
@json_option
def status(*, as_json: bool) -> int:
    """Say of each component whether it runs and is ready; exit 1 where one is not."""
    from components.runtime.config import load_settings
    from components.xtrader.status import component_statuses

    settings = load_settings()
    found = component_statuses(settings.paths, with_sandbox=settings.paths.env == "dev")
    plain = {"ok": all(one.state == "ready" for one in found), "components": [one.as_dict() for one in found]}
    print_result(plain, as_json=as_json, text="\n".join(one.as_text() for one in found))
    return 0 if plain["ok"] else 1


@cli.command()
@click.option("--within", "within_s", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds.")
@json_option
def down(within_s: float, *, as_json: bool) -> int:
    """Stop a running `up` in order, as Ctrl-C there would; exit 69 where none runs, 1 where it does not stop."""
    from threading import Event

    from components.runtime.clock import SystemClock
    from components.runtime.config import load_settings
    from components.xtrader.down import stop_running_up

    pid, stopped = stop_running_up(load_settings().paths, SystemClock(), lambda ms: Event().wait(ms / 1e3), within_s)
    text = f"process {pid} stopped" if stopped else f"process {pid} still runs after {within_s:.0f} s"
    print_result({"pid": pid, "stopped": stopped}, as_json=as_json, text=text)
    return 0 if stopped else 1


@cli.command()
@json_option
def doctor(*, as_json: bool) -> int:
    """Look for whatever would keep `up` from running, and say how to mend it; exit 1 where something would."""
    from components.xtrader.doctor.visit import run_checks

    found = run_checks()
    facts = {"ok": not any(one.is_blocker for one in found), "findings": [one.as_dict() for one in found]}
    print_result(facts, as_json=as_json, text="\n".join(line for one in found for line in one.text_lines()))
    return 0 if facts["ok"] else 1


@cli.command()
@click.argument("order")
@json_option
def explain(order: str, *, as_json: bool) -> int:
    """Tell an order's whole story from the journals: its client order, intent or signal id, or `last`; exit 1 if none.

    Nothing needs to run. A signal that risk refused has a story too.
    """
    from components.xtrader.explain.asking import explain_order

    story = explain_order(order)
    if story is None:
        print_result({"order": order, "found": False}, as_json=as_json, text=f"no journal knows an order {order}")
        return 1
    print_result({"found": True, **story.as_dict()}, as_json=as_json, text="\n".join(story.text_lines()))
    return 0
