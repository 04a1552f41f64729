"""HTTP requests to one venue: weighted rate limit, bounded queue, one deadline per request; failures are values."""

import asyncio
from typing import Final, TypeAlias

import httpx
from msgspec import Struct

from components.contracts.values import Symbol
from components.market_data.config import VenueConfig
from components.market_data.core.events import DepthSnapshot, SnapshotUnavailable
from components.market_data.core.instruments import Instrument
from components.market_data.venues.adapter import DECODE_ERRORS, RestRequest, Tap, VenueAdapter
from components.market_data.venues.metrics import RequestOutcome, Transport, VenueMetrics
from components.market_data.venues.rate_limit import CircuitGuard, RateLimiter, parse_retry_after_ms
from components.runtime.clock import NS_PER_MS, Clock
from components.runtime.retry import CircuitBreaker

CONNECTIONS_MAX: Final = 4
IDLE_S_MAX: Final = 60
PERMANENT_FAILURE_WAIT_MS: Final = 60_000
"""Delay after a permanent failure: long enough for the retries to do no harm."""
DETAIL_MAX: Final = 200


class RestFailure(Struct, frozen=True, gc=False):
    """A failed request; not to be repeated before `retry_after_ms` have passed."""

    outcome: RequestOutcome
    reason: str
    retry_after_ms: float = 0
    is_permanent: bool = False


class RestResponse(Struct, frozen=True, gc=False):
    """The body of a successful response."""

    body: bytes
    received_at_ns: int


RestResult: TypeAlias = RestResponse | RestFailure


class RestClient:
    """HTTP client of one venue; it never repeats a request itself."""

    def __init__(
        self, adapter: VenueAdapter, config: VenueConfig, clock: Clock, metrics: VenueMetrics, tap: Tap | None = None
    ) -> None:
        """Create the client; connections are opened when they are needed."""
        limits = adapter.limits
        self._adapter, self._config, self._clock, self._metrics, self._tap = adapter, config, clock, metrics, tap
        self._rate_limiter = RateLimiter(clock, per_second=limits.requests_per_second, burst=limits.requests_burst)
        breaker = CircuitBreaker(
            failures_max=config.breaker_failures_max, cooldown_ns=config.breaker_pause_ms * NS_PER_MS
        )
        self._circuit = CircuitGuard(clock, breaker, Transport.REST, metrics)
        self._waiting = 0
        reply_s, connect_s = config.reply_timeout_ms / 1_000, config.connect_timeout_ms / 1_000
        self._client = httpx.AsyncClient(
            base_url=config.rest_url,
            headers={"User-Agent": "xtrader", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(reply_s, connect=connect_s, pool=reply_s),
            limits=httpx.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX, keepalive_expiry=IDLE_S_MAX
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def fetch_snapshot(self, symbol: Symbol) -> DepthSnapshot | SnapshotUnavailable:
        """Fetch a book snapshot."""
        result = await self.get(self._adapter.snapshot_request(symbol))
        if isinstance(result, RestFailure):
            return SnapshotUnavailable(result.reason, result.retry_after_ms)
        try:
            return self._adapter.decode_snapshot(symbol, result.body, result.received_at_ns)
        except DECODE_ERRORS as error:
            self._metrics.request_finished(RequestOutcome.MALFORMED)
            return SnapshotUnavailable(f"undecodable: {error}"[:DETAIL_MAX], 0)

    async def fetch_instruments(self) -> list[Instrument] | RestFailure:
        """Fetch all listed instruments."""
        bodies = []
        for request in self._adapter.instrument_requests():
            result = await self.get(request)
            if isinstance(result, RestFailure):
                return result
            bodies.append(result.body)
        try:
            return self._adapter.decode_instruments(bodies)
        except DECODE_ERRORS as error:
            self._metrics.request_finished(RequestOutcome.MALFORMED)
            return RestFailure(RequestOutcome.MALFORMED, f"undecodable: {error}"[:DETAIL_MAX])

    async def get(self, request: RestRequest) -> RestResult:
        """Execute one request; fail at once if it would have to wait longer than `reply_timeout_ms`."""
        result = self._check_admission(request) or await self._wait_and_send(request)
        if isinstance(result, RestFailure):
            self._metrics.request_finished(result.outcome)
        else:
            self._metrics.request_finished(RequestOutcome.OK)
        return result

    def _check_admission(self, request: RestRequest) -> RestFailure | None:
        circuit = self._circuit
        if (wait_ms := circuit.paused_ms) > 0:
            return RestFailure(RequestOutcome.RETRY_AFTER, f"the venue requested a delay of {wait_ms:.0f} ms", wait_ms)
        if (wait_ms := circuit.open_ms) > 0:
            return RestFailure(
                RequestOutcome.CIRCUIT_OPEN, "the circuit breaker is open after repeated failures", wait_ms
            )
        wait_ms = self._rate_limiter.wait_ms(request.weight)
        if self._waiting >= self._config.requests_queued_max or wait_ms > self._config.reply_timeout_ms:
            return RestFailure(
                RequestOutcome.QUEUE_FULL,
                f"{self._waiting} requests are queued; the rate limit delays this one by {wait_ms:.0f} ms",
                max(wait_ms, 1),
            )
        return None

    async def _wait_and_send(self, request: RestRequest) -> RestResult:
        self._waiting += 1
        try:
            async with asyncio.timeout(self._config.reply_timeout_ms / 1_000):
                await self._rate_limiter.acquire(request.weight)
        except TimeoutError:
            return RestFailure(
                RequestOutcome.QUEUE_FULL,
                f"the rate limit did not allow it within {self._config.reply_timeout_ms} ms",
                self._rate_limiter.wait_ms(request.weight),
            )
        finally:
            self._waiting -= 1
        # While this request waited, another response may have started a Retry-After delay.
        if self._circuit.paused_ms > 0 or not self._circuit.try_acquire():
            return self._check_admission(request) or RestFailure(
                RequestOutcome.CIRCUIT_OPEN, "the circuit breaker waits for another request that probes the venue"
            )
        return await self._send(request)

    async def _send(self, request: RestRequest) -> RestResult:
        deadline_s = (self._config.connect_timeout_ms + self._config.reply_timeout_ms) / 1_000
        try:
            # The client's timeouts apply to each step; a server that sends slowly is stopped by this one.
            async with asyncio.timeout(deadline_s), self._client.stream("GET", request.path) as response:
                return await self._read_response(response)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            if isinstance(error, (TimeoutError, httpx.TimeoutException)):
                return self._failed(RequestOutcome.TIMEOUT, f"no response in time: {type(error).__name__}")
            return self._failed(RequestOutcome.UNREACHABLE, f"{type(error).__name__}: {error}")

    async def _read_response(self, response: httpx.Response) -> RestResult:
        status, now_ns = response.status_code, self._clock.now_ns()
        if (wait_ms := parse_retry_after_ms(status, response.headers.get("Retry-After", ""), now_ns)) is not None:
            self._circuit.succeeded()
            self._circuit.pause(wait_ms)
            return RestFailure(RequestOutcome.RATE_LIMITED, f"HTTP {status}: wait {wait_ms:.0f} ms", wait_ms)
        body = await self._read_body(response)
        if body is None:
            # The next response would be as large.
            self._circuit.succeeded()
            return RestFailure(
                RequestOutcome.TOO_LARGE, f"more than {self._config.body_bytes_max} bytes", PERMANENT_FAILURE_WAIT_MS
            )
        if response.is_success:
            return self._succeeded(response, body)
        reason = f"HTTP {status}: {' '.join(body[:DETAIL_MAX].decode('utf-8', 'replace').split())}"
        if self._adapter.is_permanent_status(status):
            self._circuit.succeeded()
            return RestFailure(RequestOutcome.REJECTED, reason, PERMANENT_FAILURE_WAIT_MS, is_permanent=True)
        return self._failed(RequestOutcome.SERVER_ERROR, reason)

    async def _read_body(self, response: httpx.Response) -> bytes | None:
        parts, count = [], 0
        async for part in response.aiter_bytes():
            count += len(part)
            if count > self._config.body_bytes_max:
                return None
            parts.append(part)
        return b"".join(parts)

    def _succeeded(self, response: httpx.Response, body: bytes) -> RestResponse:
        received_at_ns = self._clock.now_ns()
        self._circuit.succeeded()
        if self._tap is not None:
            self._tap.on_frame("http", str(response.url), body, received_at_ns)
        return RestResponse(body, received_at_ns)

    def _failed(self, outcome: RequestOutcome, reason: str) -> RestFailure:
        self._circuit.failed()
        return RestFailure(outcome, reason)
