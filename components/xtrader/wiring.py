"""Composition root of `xtrader up`: every part of a run is created here."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Final

from components.contracts.decisions import RiskReply, RiskRequest
from components.contracts.errors import StorageError
from components.contracts.streams import RISK_REQUESTS
from components.execution.config import ExecutionConfig
from components.market_data.config import MarketDataConfig
from components.runtime.bus.bus import request_once
from components.runtime.clock import NS_PER_S, Clock, SystemClock
from components.runtime.config.layers import remove_overlay
from components.runtime.config.secrets import create_seal_key, resolve
from components.runtime.config.settings import ConfigLayers, Settings, read_layers
from components.runtime.filesystem import REAL_DISK
from components.runtime.paths import Paths
from components.signals.config import SignalsConfig
from components.xtrader.configuration import table_models
from components.xtrader.explain.explain import model_name
from components.xtrader.explain.history import RecentHistories
from components.xtrader.live_view.market_view import open_market_view
from components.xtrader.live_view.screen import LiveView, Screen
from components.xtrader.supervisor.launcher import ProcessLauncher
from components.xtrader.supervisor.processes import PROCESSES, SANDBOX, VenueEndpoints
from components.xtrader.supervisor.supervisor import Supervisor
from components.xtrader.up.console import Output, PlainOutput
from components.xtrader.up.monitor import JournalMonitor, RunMonitor, RunStatistics
from components.xtrader.up.run import RequestRisk, RunContext, TradingRun, read_venue_positions

RISK_REPLY_MS_MAX: Final = 2_000
STDIN: Final = 0
STDOUT: Final = 1


def run_trading(
    *, for_s: float | None, fresh: bool, seed: int, speed: float | None, is_live: bool, as_json: bool
) -> dict[str, Any]:
    """Start all processes, trade, stop them, and return the summary of the run."""
    layers, clock = read_layers(), SystemClock()
    settings = layers.validate(table_models())
    paths = settings.paths
    with ExitStack() as stack:
        paths.create_run_dir()
        stack.callback(REAL_DISK.close, REAL_DISK.lock(paths.lock("up")))
        stack.callback(remove_overlay, paths)
        stop = stack.enter_context(_stop_event_on_signals())
        output = _open_output(layers, settings, clock, is_live=is_live and not as_json, to_errors=as_json)
        stack.callback(output.close)
        if fresh and (archived := archive_state(paths.state, clock.now_ns())):
            output.event(f"old state archived: {archived}")
        if create_seal_key(paths):
            output.event(f"created the seal key: {paths.seal_key()}")
        with_sandbox = paths.env == "dev"
        specs = tuple(spec for spec in PROCESSES if with_sandbox or spec is not SANDBOX)
        endpoints = None if with_sandbox else _live_venue_endpoints(layers, settings)
        launcher = ProcessLauncher(paths, _sandbox_arguments(settings, seed, speed), clock.now_ns, endpoints)
        monitor = RunMonitor(
            title=f"{paths.env}/{paths.account}",
            started_at_ns=clock.now_ns(),
            supervisor=Supervisor(specs, launcher, clock, output.event),
            statistics=RunStatistics(),
            histories=RecentHistories(),
        )
        context = RunContext(
            monitor=monitor,
            launcher=launcher,
            clock=clock,
            journals=JournalMonitor(paths, monitor.statistics, monitor.histories),
            request_risk=_risk_requester(paths),
            read_venue=lambda: read_venue_positions(launcher.endpoints),
            stop_requested=stop,
            output=output,
        )
        return TradingRun(context, for_s=for_s).run()


def _open_output(layers: ConfigLayers, settings: Settings, clock: Clock, *, is_live: bool, to_errors: bool) -> Output:
    """Return the live view on a capable terminal, plain output otherwise."""
    model_card = settings.paths.root / settings.table("signals", SignalsConfig).model
    model_name_of = partial(model_name, model_card)
    if not is_live or layers.environ.get("TERM", "dumb") == "dumb":
        return PlainOutput(model_name_of, to_errors=to_errors)
    market, colour = open_market_view(settings.paths.run, clock), not layers.environ.get("NO_COLOR")
    # The screen is opened last: a failure before it leaves the terminal unchanged.
    return LiveView(Screen(STDOUT, STDIN), market, clock, model_name_of, colour=colour)


@contextmanager
def _stop_event_on_signals() -> Iterator[Event]:
    stop = Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)  # sent when the terminal closes; nohup has it ignored
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _sandbox_arguments(settings: Settings, seed: int, speed: float | None) -> tuple[str, ...]:
    market_data = settings.table("market_data", MarketDataConfig)
    venues = ",".join(("alpaca", *(venue.VENUE.lower() for venue in market_data.venues if venue.VENUE != "ALPACA")))
    speed_option = () if speed is None else ("--speed", str(speed))
    state = str(settings.paths.state / SANDBOX.name)
    return (
        "--state",
        state,
        "--seed",
        str(seed),
        "--symbols",
        ",".join(market_data.symbols),
        "--venues",
        venues,
        *speed_option,
        "--json",
    )


def _live_venue_endpoints(layers: ConfigLayers, settings: Settings) -> VenueEndpoints:
    """Return the endpoints and keys of the configured venue."""
    alpaca = settings.table("execution", ExecutionConfig).alpaca
    data = settings.table("market_data", MarketDataConfig).alpaca
    references = (alpaca.key, alpaca.secret)
    key, secret = (resolve(one, root=layers.root, environ=layers.environ).reveal().decode() for one in references)
    return VenueEndpoints(alpaca.trading_url, alpaca.stream_url, data.stream_url, "", key, secret)


def _risk_requester(paths: Paths) -> RequestRisk:
    def request_risk(request: RiskRequest) -> RiskReply:
        reply: RiskReply = request_once(paths.run, RISK_REQUESTS, request, RISK_REPLY_MS_MAX)
        return reply

    return request_risk


def archive_state(state: Path, now_ns: int) -> Path | None:
    """Move an account's state folder aside, to a name with the time; nothing is deleted. None if there was none."""
    if not state.exists():
        return None
    archive = state.with_name(f"{state.name}.archived-{now_ns // NS_PER_S}")
    try:
        while archive.exists():
            archive = archive.with_name(f"{archive.name}x")
        state.rename(archive)
    except OSError as error:
        raise StorageError(f"cannot archive {state}: {error.strerror or error}") from error
    return archive
