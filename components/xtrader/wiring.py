"""Everything that `up` is made of, on one page."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event
from typing import Any

from components.contracts.decisions import JudgeReply, JudgeRequest
from components.contracts.topics import JUDGE
from components.execution.config import ExecutionConfig
from components.market_data.config import MarketDataConfig
from components.runtime.bus import ask
from components.runtime.clock import Clock, SystemClock
from components.runtime.config import Layers, Settings, read_layers
from components.runtime.disk import REAL_DISK
from components.runtime.places import Places
from components.runtime.secrets import make_seal, resolve
from components.runtime.told import remove_told
from components.signals.config import SignalsConfig
from components.xtrader.children import CHILDREN, SANDBOX, VenueAddress
from components.xtrader.crew import Crew
from components.xtrader.ending import AskRisk, read_venue_positions
from components.xtrader.explain.models import model_name
from components.xtrader.explain.newest import Newest
from components.xtrader.live.ear import open_ear
from components.xtrader.live.screen import Screen
from components.xtrader.live.show import LiveView
from components.xtrader.schemas import models
from components.xtrader.show import PlainLines, Show
from components.xtrader.state import set_aside
from components.xtrader.tally import Tally
from components.xtrader.up import Parts, Run
from components.xtrader.watch import Journals, Seen
from components.xtrader.yard import ProcessYard

ASK_MS_MAX = 2_000
STANDARD_INPUT, STANDARD_OUTPUT = 0, 1


def trade(
    *, for_s: float | None, fresh: bool, seed: int, speed: float | None, live: bool, as_json: bool
) -> dict[str, Any]:
    """Start everything, trade, stop everything, and give the account of the run."""
    layers, clock = read_layers(), SystemClock()
    settings = layers.check(models())
    places = settings.places
    with ExitStack() as held:
        places.make()
        held.callback(REAL_DISK.close, REAL_DISK.lock(places.lock("up")))
        held.callback(remove_told, places)
        stop = held.enter_context(_stop_on_signals())
        show = _show(layers, settings, clock, is_live=live and not as_json, to_errors=as_json)
        held.callback(show.close)
        if fresh and (aside := set_aside(places.state, clock.now_ns())):
            show.say(f"old state set aside: {aside}")
        if make_seal(places):
            show.say(f"made the seal key: {places.seal()}")
        with_sandbox = places.env == "dev"
        children = tuple(child for child in CHILDREN if with_sandbox or child is not SANDBOX)
        address = None if with_sandbox else _venue_address(layers, settings)
        yard = ProcessYard(places, _sandbox_arguments(settings, seed, speed), clock.now_ns, address)
        seen = Seen(
            title=f"{places.env}/{places.account}",
            begun_ns=clock.now_ns(),
            crew=Crew(children, yard, clock, show.say),
            tally=Tally(),
            stories=Newest(),
        )
        parts = Parts(
            seen=seen,
            yard=yard,
            clock=clock,
            journals=Journals(places, seen.tally, seen.stories),
            ask=_risk(places),
            venue=lambda: read_venue_positions(yard.address),
            stop=stop,
            show=show,
        )
        return Run(parts, for_s=for_s).to_its_end()


def _show(layers: Layers, settings: Settings, clock: Clock, *, is_live: bool, to_errors: bool) -> Show:
    """Speak in frames where a person looks at a terminal that can draw them, else in lines."""
    card = settings.places.root / settings.table("signals", SignalsConfig).model
    name_model = partial(model_name, card)
    if not is_live or layers.environ.get("TERM", "dumb") == "dumb":
        return PlainLines(name_model, to_errors=to_errors)
    ear, colour = open_ear(settings.places.run, clock), not layers.environ.get("NO_COLOR")
    # The screen last: whatever fails before it leaves the terminal as it was.
    return LiveView(Screen(STANDARD_OUTPUT, STANDARD_INPUT), ear, clock, name_model, colour=colour)


@contextmanager
def _stop_on_signals() -> Iterator[Event]:
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
    state = str(settings.places.state / SANDBOX.name)
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


def _venue_address(layers: Layers, settings: Settings) -> VenueAddress:
    """Find the real venue where the configuration says it is."""
    alpaca = settings.table("execution", ExecutionConfig).alpaca
    data = settings.table("market_data", MarketDataConfig).alpaca
    references = (alpaca.key, alpaca.secret)
    key, secret = (resolve(one, root=layers.root, environ=layers.environ).reveal().decode() for one in references)
    return VenueAddress(alpaca.trading_url, alpaca.stream_url, data.stream_url, "", key, secret)


def _risk(places: Places) -> AskRisk:
    def ask_risk(request: JudgeRequest) -> JudgeReply:
        reply: JudgeReply = ask(places.run, JUDGE, request, ASK_MS_MAX)
        return reply

    return ask_risk
