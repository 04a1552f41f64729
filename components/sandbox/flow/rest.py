"""What can go wrong with a REST request, decided at one place."""

import asyncio

from aiohttp import web

from components.sandbox.flow.faults import Chance, FlowFaultKind, FlowFaults
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.server.replies import reply


async def mishap(faults: FlowFaults, venue: str, symbol: str = "*") -> web.Response | None:
    """Let a request wait if it must, and give the answer of a venue that fails, if it fails."""
    chance = Chance(venue, symbol)
    if slow := faults.strike(FlowFaultKind.REST_DELAY, chance):
        await asyncio.sleep(slow.ms / 1000)
    if fault := faults.strike(FlowFaultKind.REST_FAIL, chance):
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else None
        return reply({"code": -1000, "msg": "the operator wants this request to fail"}, fault.status, headers)
    return None


def snapshot_id(flow: OrderFlow, faults: FlowFaults, venue: str, symbol: str, lag: int = 0) -> int:
    """Give the id whose book a REST answer shows: so many changes old, and older where that is armed."""
    if fault := faults.strike(FlowFaultKind.REST_STALE, Chance(venue, symbol)):
        lag += fault.count
    return flow.id_before(symbol, lag)
