"""HTTP servers on loopback ports, JSON responses, and the parsing of request bodies."""

import errno
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from aiohttp import web

from components.contracts.errors import ResourceBusy, UsageError

HOST = "127.0.0.1"
T = TypeVar("T")
SHUTDOWN_TIMEOUT_S = 1.0  # for responses in progress; connections are aborted at shutdown


class RequestError(Exception):
    """Raised for a request body that cannot be decoded; `is_json` is False if it is not even JSON."""

    def __init__(self, message: str, *, is_json: bool) -> None:
        super().__init__(message)
        self.is_json = is_json


class AdminError(Exception):
    """Raised for a request to the admin API that the venue rejects, such as an unknown mode."""


class HttpServers:
    """The HTTP servers of one process."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def open(self, application: web.Application, port: int) -> int:
        """Serve an application; return its port, which is a free one if `port` is 0."""
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
        """Stop all servers."""
        for runner in self._runners:
            await runner.cleanup()


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a response with a JSON document."""
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


async def read_body(request: web.Request, kind: type[T]) -> T:
    """Decode a JSON body; numbers become decimals exactly as written."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.ValidationError as error:
        raise RequestError(f"invalid request body: {error}", is_json=True) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise RequestError("request body is not JSON", is_json=False) from error
