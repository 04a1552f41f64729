"""The crypto venues of one sandbox, each on a port of its own, and what keeps them moving."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from aiohttp import web

from components.sandbox.binance.listings import SPOT_LISTINGS, USD_M_LISTINGS
from components.sandbox.binance.venue import BinanceUmVenue, BinanceVenue
from components.sandbox.config import STOCKS, VENUES, Settings
from components.sandbox.deribit.listings import LISTINGS as DERIBIT_LISTINGS
from components.sandbox.deribit.venue import DeribitVenue
from components.sandbox.flow.faults import FlowFaults
from components.sandbox.flow.listings import Listing
from components.sandbox.flow.orders import IdSpace, OrderFlow
from components.sandbox.flow.pace import Pace
from components.sandbox.flow.recorded import RecordedVenue
from components.sandbox.flow.recording import Frame, read_recording, venue_of
from components.sandbox.flow.truth import TruthRoutes, VenueUrls
from components.sandbox.flow.venue import CryptoVenue
from components.sandbox.okx.listings import LISTINGS as OKX_LISTINGS
from components.sandbox.okx.venue import OkxVenue
from components.sandbox.server.doors import HOST, Doors
from components.sandbox.server.store import Credentials

NowNs = Callable[[], int]


class _Making(Protocol):
    def __call__(  # every crypto venue is made of the same parts
        self,
        listings: Sequence[Listing],
        flow: OrderFlow,
        faults: FlowFaults,
        credentials: Credentials,
        now_ns: NowNs,
        scale: float,
    ) -> CryptoVenue: ...


class Seeded(NamedTuple):
    """A venue whose market is made here."""

    make: _Making
    listings: Sequence[Listing]
    ids: IdSpace


SEEDED: dict[str, Seeded] = {
    "binance": Seeded(BinanceVenue, SPOT_LISTINGS, IdSpace.PER_SYMBOL),
    "binanceum": Seeded(BinanceUmVenue, USD_M_LISTINGS, IdSpace.VENUE_WIDE),
    "okx": Seeded(OkxVenue, OKX_LISTINGS, IdSpace.PER_SYMBOL),
    "deribit": Seeded(DeribitVenue, DERIBIT_LISTINGS, IdSpace.VENUE_WIDE),
}


class CryptoVenues:
    """All that were asked for."""

    def __init__(self, settings: Settings, credentials: Credentials, now_ns: NowNs) -> None:
        self.faults = FlowFaults()
        self.urls: dict[str, VenueUrls] = {}
        self._settings, self._now_ns = settings, now_ns
        recorded = _recorded(settings.recording)
        named = dict.fromkeys((*settings.venues, *recorded))
        self._venues = {name: self._make(name, credentials, recorded) for name in named if name != STOCKS}

    def admin_routes(self) -> list[web.RouteDef]:
        """List the endpoints of their side door."""
        return TruthRoutes(self._venues, self.urls, self.faults, self._now_ns).routes()

    async def open(self, doors: Doors) -> None:
        """Give each its door."""
        for name, venue in self._venues.items():
            application = web.Application()
            application.add_routes(venue.routes())
            port = await doors.open(application, self._settings.venue_ports.get(name, 0))
            self.urls[name] = VenueUrls(f"ws://{HOST}:{port}", f"http://{HOST}:{port}")

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Give what has to run for ever."""
        moving = [venue.move() for venue in self._venues.values()]
        rate = self._settings.crypto_rate * self._settings.speed
        if not rate or not moving:
            return moving  # only an operator moves the market
        flows = [venue.flow for venue in self._venues.values()]
        return [*moving, Pace(flows, rate, self._now_ns).keep()]

    def drop(self) -> None:
        """Cut every client off."""
        for venue in self._venues.values():
            venue.drop()

    def _make(self, name: str, credentials: Credentials, recorded: Mapping[str, list[Frame]]) -> CryptoVenue:
        if name in recorded:
            return RecordedVenue(name, recorded[name], self.faults, self._now_ns, self._settings.speed)
        make, listings, ids = SEEDED[name]
        # The same pair at two venues has two markets.
        flow = OrderFlow(listings, self._settings.seed + VENUES.index(name), ids)
        return make(listings, flow, self.faults, credentials, self._now_ns, self._settings.heartbeat_scale)


def _recorded(paths: Sequence[Path]) -> dict[str, list[Frame]]:
    found: dict[str, list[Frame]] = {}
    for path in paths:
        frames = read_recording(path)
        found.setdefault(venue_of(frames, path), []).extend(frames)
    return found
