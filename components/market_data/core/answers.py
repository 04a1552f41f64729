"""Brings the images that a recording holds together with the requests for them, whichever comes first."""

from typing import TypeAlias

from components.contracts.values import Symbol
from components.market_data.core.changes import DepthImage
from components.market_data.core.feed import FeedMessage, FetchImage

Played: TypeAlias = tuple[int, FeedMessage | DepthImage]
"""What a recording held at a time: an image in it is the answer to whoever asked for one."""


class Answers:
    """At most one request and one image wait for each other, symbol by symbol; a newer one takes the older's place."""

    def __init__(self) -> None:
        self._asked: dict[Symbol, FetchImage] = {}
        self._held: dict[Symbol, DepthImage] = {}

    def ask(self, request: FetchImage) -> DepthImage | None:
        """Give the image that waits; else the request waits for the next."""
        image = self._held.pop(request.symbol, None)
        if image is None:
            self._asked[request.symbol] = request
        return image

    def came(self, image: DepthImage) -> FetchImage | None:
        """Give the request that waits; else the image waits for the next."""
        request = self._asked.pop(image.symbol, None)
        if request is None:
            self._held[image.symbol] = image
        return request
