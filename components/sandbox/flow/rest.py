"""What can go wrong with a REST request, decided at one place."""

import asyncio

from aiohttp import web

from components.sandbox.flow.faults import CryptoFaultKind, CryptoFaultSwitches, FaultTarget
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.server.replies import json_response


async def inject_rest_fault(faults: CryptoFaultSwitches, venue: str, symbol: str = "*") -> web.Response | None:
    """Let a request wait if it must, and give the answer of a venue that fails, if it fails."""
    chance = FaultTarget(venue, symbol)
    if slow := faults.trigger(CryptoFaultKind.REST_DELAY, chance):
        await asyncio.sleep(slow.ms / 1000)
    if fault := faults.trigger(CryptoFaultKind.REST_FAIL, chance):
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else None
        return json_response({"code": -1000, "msg": "the operator wants this request to fail"}, fault.status, headers)
    return None


def snapshot_id(flow: OrderFlow, faults: CryptoFaultSwitches, venue: str, symbol: str, lag: int = 0) -> int:
    """Give the id whose book a REST answer shows: so many changes old, and older where that is armed."""
    if fault := faults.trigger(CryptoFaultKind.REST_STALE, FaultTarget(venue, symbol)):
        lag += fault.count
    return flow.id_before(symbol, lag)
