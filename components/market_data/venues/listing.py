"""What a venue lists of what we want: asked for until it is known, then every now and then."""

import asyncio
from collections.abc import Callable, Sequence

from components.contracts.errors import UsageError
from components.contracts.values import Symbol
from components.market_data.config import VenueConfig
from components.market_data.core.feed import BookClosed, LineClosed, Listed
from components.market_data.core.instruments import Instrument, Registry
from components.market_data.venues.delivery import Delivery
from components.market_data.venues.dialect import Dialect
from components.market_data.venues.rest import NoAnswer, Rest
from components.runtime.retry import Backoff


class Listing:
    """The instruments of one venue that are listened to."""

    def __init__(self, dialect: Dialect, config: VenueConfig, rest: Rest, chance: Callable[[], float]) -> None:
        """Ask over HTTP; `chance` gives numbers in [0, 1) for the jitter."""
        self._dialect, self._config, self._rest, self._chance = dialect, config, rest, chance
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self.known: dict[Symbol, Instrument] = {}

    async def begin(self, delivery: Delivery) -> None:
        """Ask until it is known what is listed; where asking cannot help, only wait to be stopped."""
        failures, told = 0, ""
        while isinstance(found := await self._rest.instruments(), NoAnswer):
            failures += 1
            reason = f"instruments: {found.reason}"
            if found.is_final or told != found.outcome:
                told = found.outcome
                delivery.tell(LineClosed(self._dialect.venue, reason, found.is_final))
            if found.is_final:
                await asyncio.get_running_loop().create_future()
            await asyncio.sleep(max(self._backoff.delay_ms(failures, self._chance()), found.wait_ms) / 1_000)
        self._learn(found, delivery)
        self._tell_missing(found, delivery)

    async def refresh(self, delivery: Delivery) -> None:
        """Look again every now and then: steps and states change."""
        while True:
            await asyncio.sleep(self._config.instruments_every_s)
            found = await self._rest.instruments()
            if not isinstance(found, NoAnswer):
                self._learn(found, delivery)

    def _learn(self, found: Sequence[Instrument], delivery: Delivery) -> None:
        wanted = set(self._config.symbols)
        # What is listed no longer keeps its last row: its stream tells what becomes of it. What is listed only now was
        # told to be refused, and stays so until the next start.
        known = self.known or wanted
        news = {one.symbol: one for one in found if one.symbol in wanted and one.symbol in known}
        before, self.known = self.known, self.known | news
        if self.known != before or not before:
            self._dialect.learn(Registry(self.known.values()))
            delivery.tell(Listed(self._dialect.venue, tuple(self.known.values())))

    def _tell_missing(self, found: Sequence[Instrument], delivery: Delivery) -> None:
        registry = Registry(found)
        for symbol in (Symbol(one) for one in self._config.symbols if one not in self.known):
            try:
                registry.require(symbol)
            except UsageError as error:
                delivery.tell(BookClosed(self._dialect.venue, symbol, str(error), final=True))
        if not self.known:
            reason = f"none of its symbols is listed: {', '.join(self._config.symbols)}"
            delivery.tell(LineClosed(self._dialect.venue, reason, final=True))
