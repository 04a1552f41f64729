"""What we say on one connection: the greeting, requests at the venue's pace, and answers at once."""

import asyncio
from collections.abc import Callable, Sequence

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from components.market_data.venues.counts import Ending
from components.market_data.venues.dialect import Unsubscribed
from components.market_data.venues.equipment import Equipment
from components.market_data.venues.opening import Ended, ended_by
from components.market_data.venues.pacing import pace_of_sends
from components.market_data.venues.subscriptions import Subscriptions


class Speaker:
    """Our side of one connection."""

    def __init__(
        self,
        connection: ClientConnection,
        equipment: Equipment,
        subscriptions: Subscriptions,
        end: Callable[[Ended], None],
        answer_ms: int,
    ) -> None:
        """Speak on it; what makes it useless is told to `end`."""
        self._connection, self._equipment, self._subscriptions = connection, equipment, subscriptions
        self._end, self._answer_ms = end, answer_ms
        self._dialect = equipment.dialect
        self._pace = pace_of_sends(equipment.clock, self._dialect.limits.sends_per_second)
        self._greeted, self._wanted = asyncio.Event(), asyncio.Event()
        self._ending: dict[str, asyncio.Future[None]] = {}

    @property
    def is_welcome(self) -> bool:
        """Say whether the venue let us in, as far as it has a say in that."""
        return not self._dialect.greets or self._greeted.is_set()

    def greeted(self) -> None:
        """Hear that we are let in."""
        self._greeted.set()

    def look_again(self) -> None:
        """Look whether there is something to ask for."""
        self._wanted.set()

    def ended(self, said: Unsubscribed) -> None:
        """Hear that topics ended."""
        for name in self._subscriptions.ended(said):
            waiting = self._ending.get(name)
            if waiting is not None and not waiting.done():
                waiting.set_result(None)

    async def speak(self) -> None:
        """Greet, then ask for whatever is to be asked for, for ever."""
        for text in self._dialect.hello():
            await self._pace.wait()
            await self.say(text)
        if not await self._is_let_in():
            self._end(Ended(Ending.NOT_GREETED, f"no welcome within {self._answer_ms} ms"))
            return
        size = self._dialect.limits.topics_per_request
        while True:
            self._wanted.clear()
            while names := self._subscriptions.next_left(size):
                await self._request(self._dialect.unsubscribe, self._subscriptions.left, names)
            while names := self._subscriptions.next_asked(size):
                await self._request(self._dialect.subscribe, self._asked, names)
            await self._wanted.wait()

    async def say_at_once(self, texts: Sequence[str]) -> None:
        """Answer: the venue wants to know whether we live."""
        for text in texts:
            self._pace.spend()
            await self.say(text)

    async def say(self, text: str) -> None:
        """Say something; a venue that takes nothing is as good as gone."""
        try:
            async with asyncio.timeout(self._answer_ms / 1_000):
                await self._connection.send(text)
        except ConnectionClosed as error:
            self._end(ended_by(error))
        except TimeoutError:
            self._end(Ended(Ending.SILENT, f"the venue took nothing for {self._answer_ms} ms"))

    async def resubscribe(self, name: str) -> None:
        """End a topic, wait until it ended, and ask for it anew."""
        self._equipment.counts.resubscribes.inc()
        ended = self._ending.setdefault(name, asyncio.get_running_loop().create_future())
        self._subscriptions.leave(name)
        self._wanted.set()
        # Whether the venue says that it ended or not, it is asked for again: nothing else brings it back.
        await asyncio.wait([ended], timeout=self._answer_ms / 1_000)
        self._ending.pop(name, None)
        self._subscriptions.ask_again(name)
        self._wanted.set()

    async def _is_let_in(self) -> bool:
        if not self._dialect.greets:
            return True
        try:
            async with asyncio.timeout(self._answer_ms / 1_000):
                await self._greeted.wait()
        except TimeoutError:
            return False
        return True

    async def _request(
        self, write: Callable[[Sequence[str], int], str], note: Callable[[Sequence[str], int], None], names: list[str]
    ) -> None:
        await self._pace.wait()
        number = next(self._equipment.requests)
        # Noted first: the answer may be here before we are back.
        note(names, number)
        await self.say(write(names, number))

    def _asked(self, names: Sequence[str], number: int) -> None:
        self._subscriptions.asked(names, number, self._equipment.clock.monotonic_ns())
