"""Everything that `up` is made of, on one page.

Sets old state aside for a fresh start; nothing is ever deleted.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from components.contracts.decisions import RiskReply, RiskRequest
from components.contracts.errors import StorageError
from components.contracts.streams import RISK_REQUESTS
from components.execution.config import ExecutionConfig
from components.market_data.config import MarketDataConfig
from components.runtime.bus.bus import request_once
from components.runtime.clock import Clock, SystemClock
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

RISK_REPLY_MS_MAX = 2_000


STDIN, STDOUT = 0, 1


def run_trading(
    *, for_s: float | None, fresh: bool, seed: int, speed: float | None, live: bool, as_json: bool
) -> dict[str, Any]:
    """Start everything, trade, stop everything, and give the account of the run."""
    layers, clock = read_layers(), SystemClock()
    settings = layers.validate(table_models())
    places = settings.paths
    with ExitStack() as held:
        places.create_run_dir()
        held.callback(REAL_DISK.close, REAL_DISK.lock(places.lock("up")))
        held.callback(remove_overlay, places)
        stop = held.enter_context(_stop_event_on_signals())
        show = _open_output(layers, settings, clock, is_live=live and not as_json, to_errors=as_json)
        held.callback(show.close)
        if fresh and (aside := archive_state(places.state, clock.now_ns())):
            show.event(f"old state set aside: {aside}")
        if create_seal_key(places):
            show.event(f"made the seal key: {places.seal_key()}")
        with_sandbox = places.env == "dev"
        children = tuple(child for child in PROCESSES if with_sandbox or child is not SANDBOX)
        address = None if with_sandbox else _live_venue_endpoints(layers, settings)
        yard = ProcessLauncher(places, _sandbox_arguments(settings, seed, speed), clock.now_ns, address)
        seen = RunMonitor(
            title=f"{places.env}/{places.account}",
            started_at_ns=clock.now_ns(),
            supervisor=Supervisor(children, yard, clock, show.event),
            statistics=RunStatistics(),
            histories=RecentHistories(),
        )
        parts = RunContext(
            monitor=seen,
            launcher=yard,
            clock=clock,
            journals=JournalMonitor(places, seen.statistics, seen.histories),
            request_risk=_risk_requester(places),
            read_venue=lambda: read_venue_positions(yard.endpoints),
            stop_requested=stop,
            output=show,
        )
        return TradingRun(parts, for_s=for_s).run()


def _open_output(layers: ConfigLayers, settings: Settings, clock: Clock, *, is_live: bool, to_errors: bool) -> Output:
    """Speak in frames where a person looks at a terminal that can draw them, else in lines."""
    card = settings.paths.root / settings.table("signals", SignalsConfig).model
    name_model = partial(model_name, card)
    if not is_live or layers.environ.get("TERM", "dumb") == "dumb":
        return PlainOutput(name_model, to_errors=to_errors)
    ear, colour = open_market_view(settings.paths.run, clock), not layers.environ.get("NO_COLOR")
    # The screen last: whatever fails before it leaves the terminal as it was.
    return LiveView(Screen(STDOUT, STDIN), ear, clock, name_model, colour=colour)


@contextmanager
def _stop_event_on_signals() -> Iterator[Event]:
    stop = Event()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)  # the terminal was closed; nohup asks not to hear of it
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _sandbox_arguments(settings: Settings, seed: int, speed: float | None) -> tuple[str, ...]:
    market_data = settings.table("market_data", MarketDataConfig)
    venues = ",".join(("alpaca", *(venue.VENUE.lower() for venue in market_data.venues if venue.VENUE != "ALPACA")))
    pace = () if speed is None else ("--speed", str(speed))
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
        *pace,
        "--json",
    )


def _live_venue_endpoints(layers: ConfigLayers, settings: Settings) -> VenueEndpoints:
    """Find the real venue where the configuration says it is."""
    alpaca = settings.table("execution", ExecutionConfig).alpaca
    data = settings.table("market_data", MarketDataConfig).alpaca
    references = (alpaca.key, alpaca.secret)
    key, secret = (resolve(one, root=layers.root, environ=layers.environ).reveal().decode() for one in references)
    return VenueEndpoints(alpaca.trading_url, alpaca.stream_url, data.stream_url, "", key, secret)


def _risk_requester(places: Paths) -> RequestRisk:
    def ask_risk(request: RiskRequest) -> RiskReply:
        reply: RiskReply = request_once(places.run, RISK_REQUESTS, request, RISK_REPLY_MS_MAX)
        return reply

    return ask_risk


def archive_state(state: Path, now_ns: int) -> Path | None:
    """Move an account's state folder beside itself; None where there was none."""
    if not state.exists():
        return None
    aside = state.with_name(f"{state.name}.aside-{now_ns // 1_000_000_000}")
    try:
        while aside.exists():
            aside = aside.with_name(f"{aside.name}x")
        state.rename(aside)
    except OSError as error:
        raise StorageError(f"set {state} aside: {error.strerror or error}") from error
    return aside
