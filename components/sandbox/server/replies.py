"""Replies as JSON, refusals among them."""

from collections.abc import Mapping

import msgspec
from aiohttp import web

from components.sandbox.core.refusals import Refusal


class Refused(Exception):
    """A request ends here with the venue's refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def reply(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with a JSON document."""
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type="application/json", headers=headers)


def refuse(refusal: Refusal) -> web.Response:
    """Answer with a refusal in the venue's words."""
    return reply(refusal.body(), refusal.status)
