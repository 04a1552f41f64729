"""The venue's listening sockets, on loopback only.

Replies as JSON, refusals among them.
"""

import errno
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from aiohttp import web

from components.contracts.errors import ResourceBusy, UsageError
from components.sandbox.alpaca.core.errors import BODY_MALFORMED, ApiErrorRaised, invalid_request

HOST = "127.0.0.1"


# Connections are cut at the end; this is only a bound for what is half way through an answer.
SHUTDOWN_TIMEOUT_S = 1.0


class HttpServers:
    """Every application that is being served."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def open(self, application: web.Application, port: int) -> int:
        """Serve an application; return its port, a free one where 0 was asked for."""
        runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
        await runner.setup()
        self._runners.append(runner)
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ResourceBusy(f"port {port} is held by another process") from error
            raise UsageError(f"port {port}: {error.strerror or error}") from error
        bound: int = runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop serving."""
        for runner in self._runners:
            await runner.cleanup()


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with a JSON document."""
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


T = TypeVar("T")


async def read_body(request: web.Request, kind: type[T]) -> T:
    """Read a JSON body; numbers become decimals exactly as they were written."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.ValidationError as error:
        raise ApiErrorRaised(invalid_request(f"invalid request body: {error}")) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise ApiErrorRaised(BODY_MALFORMED) from error
