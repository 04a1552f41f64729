"""The crypto venues of one sandbox, each on its own port, and the tasks that run them."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from aiohttp import web

from components.sandbox.binance.instruments import SPOT_INSTRUMENTS, USD_M_INSTRUMENTS
from components.sandbox.binance.venue import BinanceFuturesVenue, BinanceSpotVenue
from components.sandbox.config import ALPACA, VENUES, Settings
from components.sandbox.crypto_admin import CryptoAdminRoutes, VenueUrls
from components.sandbox.deribit.instruments import INSTRUMENTS as DERIBIT_INSTRUMENTS
from components.sandbox.deribit.venue import DeribitVenue
from components.sandbox.okx.instruments import INSTRUMENTS as OKX_INSTRUMENTS
from components.sandbox.okx.venue import OkxVenue
from components.sandbox.recorded.recording import RecordedFrame, read_recording, venue_of
from components.sandbox.recorded.venue import RecordedVenue
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import IdSpace, OrderFlow
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.crypto_venue import CryptoVenue, FlowDriver
from components.sandbox.transport.faults import CryptoFaultSwitches
from components.sandbox.transport.http_server import HOST, HttpServers

NowNs = Callable[[], int]


class _VenueFactory(Protocol):
    """The constructor of a crypto venue; all have these parameters."""

    def __call__(
        self,
        instruments: Sequence[Instrument],
        flow: OrderFlow,
        faults: CryptoFaultSwitches,
        credentials: Credentials,
        now_ns: NowNs,
        scale: float,
    ) -> CryptoVenue: ...


class SimulatedMarket(NamedTuple):
    """A venue with a simulated market: its constructor, its instruments, its numbering of ids."""

    create_venue: _VenueFactory
    instruments: Sequence[Instrument]
    ids: IdSpace


SIMULATED_MARKETS: dict[str, SimulatedMarket] = {
    "binance": SimulatedMarket(BinanceSpotVenue, SPOT_INSTRUMENTS, IdSpace.PER_SYMBOL),
    "binanceum": SimulatedMarket(BinanceFuturesVenue, USD_M_INSTRUMENTS, IdSpace.VENUE_WIDE),
    "okx": SimulatedMarket(OkxVenue, OKX_INSTRUMENTS, IdSpace.PER_SYMBOL),
    "deribit": SimulatedMarket(DeribitVenue, DERIBIT_INSTRUMENTS, IdSpace.VENUE_WIDE),
}


class CryptoVenues:
    """All crypto venues of the settings."""

    def __init__(self, settings: Settings, credentials: Credentials, now_ns: NowNs) -> None:
        self.faults = CryptoFaultSwitches()
        self.urls: dict[str, VenueUrls] = {}
        self._settings, self._now_ns = settings, now_ns
        recorded = _read_recordings(settings.recording)
        named = dict.fromkeys((*settings.venues, *recorded))
        self._venues = {name: self._create(name, credentials, recorded) for name in named if name != ALPACA}

    def admin_routes(self) -> list[web.RouteDef]:
        """Return the endpoints of the admin API for these venues."""
        return CryptoAdminRoutes(self._venues, self.urls, self.faults, self._now_ns).routes()

    async def open(self, servers: HttpServers) -> None:
        """Open a port for each venue and record its URLs."""
        for name, venue in self._venues.items():
            application = web.Application()
            application.add_routes(venue.routes())
            port = await servers.open(application, self._settings.venue_ports.get(name, 0))
            self.urls[name] = VenueUrls(f"ws://{HOST}:{port}", f"http://{HOST}:{port}")

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines that run until cancelled."""
        moving = [venue.run() for venue in self._venues.values()]
        rate = self._settings.crypto_rate * self._settings.speed
        if not rate or not moving:
            return moving  # at rate 0 the books change only through the admin API
        flows = [venue.flow for venue in self._venues.values()]
        return [*moving, FlowDriver(flows, rate, self._now_ns).run()]

    def disconnect_all(self) -> None:
        """Abort the connections of all clients."""
        for venue in self._venues.values():
            venue.disconnect_all()

    def _create(self, name: str, credentials: Credentials, recorded: Mapping[str, list[RecordedFrame]]) -> CryptoVenue:
        if name in recorded:
            return RecordedVenue(name, recorded[name], self.faults, self._now_ns, self._settings.speed)
        create, instruments, ids = SIMULATED_MARKETS[name]
        # The same pair at two venues has two independent markets.
        flow = OrderFlow(instruments, self._settings.seed + VENUES.index(name), ids)
        return create(instruments, flow, self.faults, credentials, self._now_ns, self._settings.heartbeat_scale)


def _read_recordings(paths: Sequence[Path]) -> dict[str, list[RecordedFrame]]:
    found: dict[str, list[RecordedFrame]] = {}
    for path in paths:
        frames = read_recording(path)
        found.setdefault(venue_of(frames, path), []).extend(frames)
    return found
