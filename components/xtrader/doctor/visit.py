"""One visit: everything that is looked at, in the order in which `up` would trip over it."""

from collections.abc import Iterator

from components.contracts.errors import ConfigError
from components.runtime.clock import SystemClock
from components.runtime.config import ConfigLayers, Settings, read_layers
from components.xtrader.doctor import house, machine
from components.xtrader.doctor.finding import Finding, blocker, ok
from components.xtrader.schemas import table_models


def run_checks() -> list[Finding]:
    """Look at everything; without a configuration that is right, only at what needs none."""
    now_ns = SystemClock().now_ns()
    findings = [machine.check_python()]
    try:
        layers = read_layers()
        settings = layers.validate(table_models())
    except ConfigError as error:
        mend = "xtrader config schema tells what each key may be"
        findings += [blocker("config", line, mend) for line in str(error).splitlines()]
        return [*findings, machine.check_clock(now_ns, None)]
    return [*findings, *_configured_checks(layers, settings, now_ns)]


def _configured_checks(layers: ConfigLayers, settings: Settings, now_ns: int) -> Iterator[Finding]:
    places, runtime = settings.paths, settings.runtime
    yield ok("config", f"{places.env}/{places.account} from {layers.folder}: every table is right")
    yield from machine.check_disk(places.state)
    yield from house.check_state_dir(places)
    yield from house.check_run_dir(places)
    yield from house.check_running_processes(places)
    yield machine.check_port(runtime.health_host, runtime.health_port)
    scans = list(house.check_journals(places))
    yield machine.check_clock(now_ns, max((newest for _, newest in scans), default=None))
    yield from house.check_venue_keys(settings, layers.environ)
    yield house.check_seal_key(places)
    yield house.check_model(settings)
    yield from (finding for finding, _ in scans)
