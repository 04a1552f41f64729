"""One visit: everything that is looked at, in the order in which `up` would trip over it."""

from collections.abc import Iterator

from components.contracts.errors import ConfigError
from components.runtime.clock import SystemClock
from components.runtime.config import Layers, Settings, read_layers
from components.xtrader.doctor import house, machine
from components.xtrader.doctor.finding import Finding, fine, stops_up
from components.xtrader.schemas import models


def examine() -> list[Finding]:
    """Look at everything; without a configuration that is right, only at what needs none."""
    now_ns = SystemClock().now_ns()
    findings = [machine.python()]
    try:
        layers = read_layers()
        settings = layers.check(models())
    except ConfigError as error:
        mend = "xtrader config schema tells what each key may be"
        findings += [stops_up("config", line, mend) for line in str(error).splitlines()]
        return [*findings, machine.clock(now_ns, None)]
    return [*findings, *_with(layers, settings, now_ns)]


def _with(layers: Layers, settings: Settings, now_ns: int) -> Iterator[Finding]:
    places, runtime = settings.places, settings.runtime
    yield fine("config", f"{places.env}/{places.account} from {layers.folder}: every table is right")
    yield from machine.disk(places.state)
    yield from house.state_folder(places)
    yield from house.run_folder(places)
    yield from house.running(places)
    yield machine.port(runtime.health_host, runtime.health_port)
    scans = list(house.journals(places))
    yield machine.clock(now_ns, max((newest for _, newest in scans), default=None))
    yield from house.venue_keys(settings, layers.environ)
    yield house.seal(places)
    yield house.model(settings)
    yield from (finding for finding, _ in scans)
