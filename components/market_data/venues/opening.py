"""Opens and closes a connection to a venue; what goes wrong is a value that says how it ended."""

from functools import cache
from ssl import SSLContext, create_default_context
from typing import Final

from msgspec import Struct
from typing_extensions import override
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from components.market_data.config import VenueConfig
from components.market_data.venues.counts import DisconnectReason
from components.market_data.venues.dialect import VenueAdapter
from components.market_data.venues.pacing import parse_retry_after_ms

CLOSE_TIMEOUT_S: Final = 0.25
"""A dead venue must not hold us up for a goodbye."""
QUEUED_FRAMES_MAX: Final = 256
"""Frames the library keeps before it stops reading: about what a turn of the loop takes in."""
CLOSE_CODE_TOO_BIG: Final = 1009
REASON_MAX: Final = 300


class Disconnect(Struct, frozen=True, gc=False):
    """How a connection ended, or why there was none."""

    reason: DisconnectReason
    detail: str
    is_permanent: bool = False
    retry_after_ms: float = 0
    """So long the venue wants to be left alone."""


async def open_connection(
    url: str, config: VenueConfig, adapter: VenueAdapter, now_ns: int
) -> ClientConnection | Disconnect:
    """Connect within the deadline; `now_ns` is the wall clock, for a venue that says until when to wait."""
    try:
        return await _connect(url, config)
    except InvalidStatus as error:
        status, headers = error.response.status_code, error.response.headers
        wait_ms = parse_retry_after_ms(status, headers.get("Retry-After", ""), now_ns)
        is_final = wait_ms is None and adapter.is_permanent_status(status)
        reason = f"the venue answers the connection with HTTP {status}"
        return Disconnect(DisconnectReason.UPGRADE_REJECTED, reason, is_final, wait_ms or 0)
    except InvalidURI as error:
        return Disconnect(DisconnectReason.CANNOT_CONNECT, f"stream_url: {error}", is_permanent=True)
    except TimeoutError:
        return Disconnect(DisconnectReason.CANNOT_CONNECT, f"cannot connect to {url} within {config.connect_ms_max} ms")
    except (WebSocketException, OSError) as error:
        return Disconnect(
            DisconnectReason.CANNOT_CONNECT, f"cannot connect to {url}: {type(error).__name__}: {error}"[:REASON_MAX]
        )


async def close_connection(connection: ClientConnection, disconnect: Disconnect | None) -> None:
    """Say goodbye, unless nobody is there to hear it."""
    if disconnect is not None and disconnect.reason in {DisconnectReason.NO_PONG, DisconnectReason.NO_DATA}:
        connection.transport.abort()
    else:
        await connection.close()


def disconnect_from_close(error: ConnectionClosed) -> Disconnect:
    """Tell how the other side, or the library for us, ended a connection."""
    if error.sent is not None and error.sent.code == CLOSE_CODE_TOO_BIG and not error.rcvd_then_sent:
        return Disconnect(DisconnectReason.TOO_LARGE, f"a frame was too large: {error}"[:REASON_MAX])
    return Disconnect(DisconnectReason.CLOSED, f"the connection ended: {error}"[:REASON_MAX])


class _NoRedirectConnect(connect):
    """Connects to the configured host or not at all: keys must not follow a redirect."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def _connect(url: str, config: VenueConfig) -> ClientConnection:
    return await _NoRedirectConnect(
        url,
        compression=None,  # inflating costs more than the bytes it saves
        proxy=None,
        user_agent_header="xtrader",
        open_timeout=config.connect_ms_max / 1_000,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=None,  # silence is watched by the venue's own rules
        max_size=config.frame_bytes_max,
        max_queue=QUEUED_FRAMES_MAX,
        ssl=_ssl_context() if url.startswith("wss:") else None,
    )


@cache
def _ssl_context() -> SSLContext:
    """Read the machine's certificates once: it takes tens of milliseconds, in which nothing else is read."""
    return create_default_context()
