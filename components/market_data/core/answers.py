"""Brings the images that a recording holds together with the requests for them, whichever comes first."""

from typing import TypeAlias

from components.contracts.values import Symbol
from components.market_data.core.changes import DepthSnapshot
from components.market_data.core.feed import FeedMessage, FetchSnapshot

ReplayEvent: TypeAlias = tuple[int, FeedMessage | DepthSnapshot]
"""What a recording held at a time: an image in it is the answer to whoever asked for one."""


class SnapshotMatcher:
    """At most one request and one image wait for each other, symbol by symbol; a newer one takes the older's place."""

    def __init__(self) -> None:
        self._requests: dict[Symbol, FetchSnapshot] = {}
        self._snapshots: dict[Symbol, DepthSnapshot] = {}

    def match_request(self, request: FetchSnapshot) -> DepthSnapshot | None:
        """Give the image that waits; else the request waits for the next."""
        image = self._snapshots.pop(request.symbol, None)
        if image is None:
            self._requests[request.symbol] = request
        return image

    def match_snapshot(self, snapshot: DepthSnapshot) -> FetchSnapshot | None:
        """Give the request that waits; else the image waits for the next."""
        request = self._requests.pop(snapshot.symbol, None)
        if request is None:
            self._snapshots[snapshot.symbol] = snapshot
        return request
