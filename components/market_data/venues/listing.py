"""What a venue lists of what we want: asked for until it is known, then every now and then."""

import asyncio
from collections.abc import Callable, Sequence

from components.contracts.errors import UsageError
from components.contracts.values import Symbol
from components.market_data.config import VenueConfig
from components.market_data.core.feed import BookStreamDown, FeedDown, InstrumentsLoaded
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.venues.delivery import Delivery
from components.market_data.venues.dialect import VenueAdapter
from components.market_data.venues.rest import RestClient, RestFailure
from components.runtime.retry import Backoff


class InstrumentLoader:
    """The instruments of one venue that are listened to."""

    def __init__(
        self, adapter: VenueAdapter, config: VenueConfig, rest: RestClient, jitter: Callable[[], float]
    ) -> None:
        """Ask over HTTP; `chance` gives numbers in [0, 1) for the jitter."""
        self._adapter, self._config, self._rest, self._jitter = adapter, config, rest, jitter
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self.instruments: dict[Symbol, Instrument] = {}

    async def load(self, delivery: Delivery) -> None:
        """Ask until it is known what is listed; where asking cannot help, only wait to be stopped."""
        failures, told = 0, ""
        while isinstance(found := await self._rest.fetch_instruments(), RestFailure):
            failures += 1
            reason = f"instruments: {found.reason}"
            if found.is_permanent or told != found.outcome:
                told = found.outcome
                delivery.deliver_control(FeedDown(self._adapter.venue, reason, found.is_permanent))
            if found.is_permanent:
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(max(self._backoff.delay_ms(failures, self._jitter()), found.retry_after_ms) / 1_000)
        self._update(found, delivery)
        self._report_missing(found, delivery)

    async def refresh(self, delivery: Delivery) -> None:
        """Look again every now and then: steps and states change."""
        while True:
            await asyncio.sleep(self._config.instruments_every_s)
            found = await self._rest.fetch_instruments()
            if not isinstance(found, RestFailure):
                self._update(found, delivery)

    def _update(self, found: Sequence[Instrument], delivery: Delivery) -> None:
        wanted = set(self._config.symbols)
        # What is listed no longer keeps its last row: its stream tells what becomes of it. What is listed only now was
        # told to be refused, and stays so until the next start.
        known = self.instruments or wanted
        news = {one.symbol: one for one in found if one.symbol in wanted and one.symbol in known}
        before, self.instruments = self.instruments, self.instruments | news
        if self.instruments != before or not before:
            self._adapter.set_instruments(InstrumentRegistry(self.instruments.values()))
            delivery.deliver_control(InstrumentsLoaded(self._adapter.venue, tuple(self.instruments.values())))

    def _report_missing(self, found: Sequence[Instrument], delivery: Delivery) -> None:
        registry = InstrumentRegistry(found)
        for symbol in (Symbol(one) for one in self._config.symbols if one not in self.instruments):
            try:
                registry.require(symbol)
            except UsageError as error:
                delivery.deliver_control(BookStreamDown(self._adapter.venue, symbol, str(error), is_permanent=True))
        if not self.instruments:
            reason = f"none of its symbols is listed: {', '.join(self._config.symbols)}"
            delivery.deliver_control(FeedDown(self._adapter.venue, reason, is_permanent=True))
