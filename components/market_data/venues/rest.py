"""A venue's HTTP side: one queue that knows weights, one deadline for each request, and answers that are values."""

import asyncio
from typing import Final, TypeAlias

import httpx
from msgspec import Struct

from components.contracts.values import Symbol
from components.market_data.config import VenueConfig
from components.market_data.core.changes import DepthImage
from components.market_data.core.feed import NoImage
from components.market_data.core.instruments import Instrument
from components.market_data.venues.counts import Door, Outcome, VenueCounts
from components.market_data.venues.dialect import Ask, Dialect, Tap
from components.market_data.venues.pacing import NS_PER_MS, Pace, Restraint, told_ms
from components.market_data.venues.strange import STRANGE
from components.runtime.clock import Clock
from components.runtime.retry import Breaker

CONNECTIONS_MAX: Final = 4
IDLE_S_MAX: Final = 60
HOPELESS_MS: Final = 60_000
"""What cannot help is tried again so seldom that it does no harm."""
DETAIL_MAX: Final = 200


class NoAnswer(Struct, frozen=True, gc=False):
    """A request that brought nothing; not before `wait_ms` again."""

    outcome: Outcome
    reason: str
    wait_ms: float = 0
    is_final: bool = False


class Answer(Struct, frozen=True, gc=False):
    """The body of a request that was answered well."""

    body: bytes
    received_at_ns: int


Answered: TypeAlias = Answer | NoAnswer


class Rest:
    """Asks one venue over HTTP; nothing is asked twice from here."""

    def __init__(
        self, dialect: Dialect, config: VenueConfig, clock: Clock, counts: VenueCounts, tap: Tap | None = None
    ) -> None:
        """Make the client; connections are made when they are needed."""
        limits = dialect.limits
        self._dialect, self._config, self._clock, self._counts, self._tap = dialect, config, clock, counts, tap
        self._pace = Pace(clock, per_second=limits.requests_per_second, burst=limits.requests_burst)
        breaker = Breaker(failures_max=config.breaker_failures_max, pause_ns=config.breaker_pause_ms * NS_PER_MS)
        self._restraint = Restraint(clock, breaker, Door.REQUESTS, counts)
        self._waiting = 0
        answer_s, connect_s = config.answer_ms_max / 1_000, config.connect_ms_max / 1_000
        self._client = httpx.AsyncClient(
            base_url=config.rest_url,
            headers={"User-Agent": "xtrader", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(answer_s, connect=connect_s, pool=answer_s),
            limits=httpx.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX, keepalive_expiry=IDLE_S_MAX
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def image(self, symbol: Symbol) -> DepthImage | NoImage:
        """Ask for a whole book."""
        answer = await self.get(self._dialect.image_ask(symbol))
        if isinstance(answer, NoAnswer):
            return NoImage(answer.reason, answer.wait_ms)
        try:
            return self._dialect.read_image(symbol, answer.body, answer.received_at_ns)
        except STRANGE as error:
            self._counts.requested(Outcome.MALFORMED)
            return NoImage(f"unreadable: {error}"[:DETAIL_MAX], 0)

    async def instruments(self) -> list[Instrument] | NoAnswer:
        """Ask for all that is listed."""
        bodies = []
        for ask in self._dialect.instrument_asks():
            answer = await self.get(ask)
            if isinstance(answer, NoAnswer):
                return answer
            bodies.append(answer.body)
        try:
            return self._dialect.read_instruments(bodies)
        except STRANGE as error:
            self._counts.requested(Outcome.MALFORMED)
            return NoAnswer(Outcome.MALFORMED, f"unreadable: {error}"[:DETAIL_MAX])

    async def get(self, ask: Ask) -> Answered:
        """Carry one request out, or say at once that it must wait for long."""
        answer = self._put_off(ask) or await self._queue(ask)
        if isinstance(answer, NoAnswer):
            self._counts.requested(answer.outcome)
        else:
            self._counts.requested(Outcome.ANSWERED)
        return answer

    def _put_off(self, ask: Ask) -> NoAnswer | None:
        restraint = self._restraint
        if (wait_ms := restraint.held_ms) > 0:
            return NoAnswer(Outcome.HELD, f"the venue wants to be left alone for {wait_ms:.0f} ms", wait_ms)
        if (wait_ms := restraint.broken_ms) > 0:
            return NoAnswer(Outcome.BROKEN_OFF, "the venue kept failing and is left alone", wait_ms)
        wait_ms = self._pace.wait_ms(ask.weight)
        if self._waiting >= self._config.requests_waiting_max or wait_ms > self._config.answer_ms_max:
            return NoAnswer(Outcome.CROWDED, f"{self._waiting} requests wait already", max(wait_ms, 1))
        return None

    async def _queue(self, ask: Ask) -> Answered:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._config.answer_ms_max / 1_000):
                await self._pace.wait(ask.weight)
        except TimeoutError:
            return NoAnswer(Outcome.CROWDED, "others were asked for first", self._pace.wait_ms(ask.weight))
        finally:
            self._waiting -= 1
        # While it waited, another answer may have told us to stay away.
        if self._restraint.held_ms > 0 or not self._restraint.ask():
            return self._put_off(ask) or NoAnswer(Outcome.BROKEN_OFF, "the venue is being tried by another request")
        return await self._send(ask)

    async def _send(self, ask: Ask) -> Answered:
        deadline_s = (self._config.connect_ms_max + self._config.answer_ms_max) / 1_000
        try:
            # The client's deadlines are for each step; a server that trickles is stopped by the whole one.
            async with asyncio.timeout(deadline_s), self._client.stream("GET", ask.path) as response:
                return await self._read(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            if isinstance(error, (TimeoutError, httpx.TimeoutException)):
                return self._failed(Outcome.TOO_LATE, f"no answer in time: {type(error).__name__}")
            return self._failed(Outcome.UNREACHABLE, f"{type(error).__name__}: {error}")

    async def _read(self, response: httpx.Response) -> Answered:
        status, now_ns = response.status_code, self._clock.now_ns()
        if (wait_ms := told_ms(status, response.headers.get("Retry-After", ""), now_ns)) is not None:
            self._restraint.succeeded()
            self._restraint.hold(wait_ms)
            return NoAnswer(Outcome.THROTTLED, f"HTTP {status}: wait {wait_ms:.0f} ms", wait_ms)
        body = await self._body(response)
        if body is None:
            # It would be as large the next time.
            self._restraint.succeeded()
            return NoAnswer(Outcome.TOO_LARGE, f"more than {self._config.body_bytes_max} bytes", HOPELESS_MS)
        if response.is_success:
            return self._succeeded(response, body)
        reason = f"HTTP {status}: {' '.join(body[:DETAIL_MAX].decode('utf-8', 'replace').split())}"
        if self._dialect.is_final(status):
            self._restraint.succeeded()
            return NoAnswer(Outcome.REFUSED, reason, HOPELESS_MS, is_final=True)
        return self._failed(Outcome.FAILED, reason)

    async def _body(self, response: httpx.Response) -> bytes | None:
        parts, count = [], 0
        async for part in response.aiter_bytes():
            count += len(part)
            if count > self._config.body_bytes_max:
                return None
            parts.append(part)
        return b"".join(parts)

    def _succeeded(self, response: httpx.Response, body: bytes) -> Answer:
        received_at_ns = self._clock.now_ns()
        self._restraint.succeeded()
        if self._tap is not None:
            self._tap.frame("http", str(response.url), body, received_at_ns)
        return Answer(body, received_at_ns)

    def _failed(self, outcome: Outcome, reason: str) -> NoAnswer:
        self._restraint.failed()
        return NoAnswer(outcome, reason)
