"""Replies as JSON, refusals among them."""

from collections.abc import Mapping

import msgspec
from aiohttp import web

from components.sandbox.core.refusals import ApiError


class ApiErrorRaised(Exception):
    """A request ends here with the venue's refusal."""

    def __init__(self, error: ApiError) -> None:
        super().__init__(error.message)
        self.error = error


def json_response(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with a JSON document."""
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def error_response(error: ApiError) -> web.Response:
    """Answer with a refusal in the venue's words."""
    return json_response(error.body(), error.status)
