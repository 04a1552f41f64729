"""The end of a run: cancel what works, wait until nothing is open, hold our positions against the venue's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import httpx

from components.contracts.decisions import (
    AccountQuery,
    AccountSnapshot,
    OperatorAction,
    OperatorCommand,
    RiskReply,
    RiskRequest,
)
from components.contracts.errors import PeerUnreachable, VenueUnavailable
from components.contracts.values import ZERO, CommandId, format_decimal
from components.runtime.clock import Clock
from components.xtrader.children import VenueEndpoints

SETTLE_S_MAX: Final = 12.0
SETTLE_POLL_MS: Final = 150
VENUE_RESPONSE_S_MAX: Final = 3.0

RequestRisk = Callable[[RiskRequest], RiskReply]
ReadVenuePositions = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class PositionComparison:
    """Positions as risk sees them and as the venue states them, canonical, flat symbols left out."""

    positions: Mapping[str, str]
    venue_positions: Mapping[str, str]
    open_orders: int
    problem: str | None
    realised: Decimal | None = None
    unrealised: Decimal | None = None

    @property
    def is_equal(self) -> bool:
        """Say whether both are known and the same, with nothing open."""
        return self.problem is None and self.open_orders == 0 and self.positions == self.venue_positions


def settle(
    request_risk: RequestRisk, read_venue: ReadVenuePositions, clock: Clock, wait_ms: Callable[[int], None], run_id: str
) -> PositionComparison:
    """Cancel every working order, wait until nothing is open and both sides agree, or say what they said last."""
    deadline_ns = clock.monotonic_ns() + int(SETTLE_S_MAX * 1e9)
    round_number = 0
    while True:
        comparison = _compare_positions(request_risk, read_venue, CommandId(f"up-{run_id}-{round_number}"))
        if comparison.is_equal or clock.monotonic_ns() >= deadline_ns:
            return comparison
        wait_ms(SETTLE_POLL_MS)
        round_number += 1


def read_venue_positions(endpoints: VenueEndpoints | None) -> Mapping[str, str]:
    """Ask the venue itself, not our own journals."""
    if endpoints is None:
        raise VenueUnavailable("the sandbox has not said where it is")
    headers = {"APCA-API-KEY-ID": endpoints.key, "APCA-API-SECRET-KEY": endpoints.secret}
    try:
        answer = httpx.get(f"{endpoints.trading_url}/v2/positions", headers=headers, timeout=VENUE_RESPONSE_S_MAX)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise VenueUnavailable(f"positions at {endpoints.trading_url}: {error}") from error
    held = {row["symbol"]: Decimal(row["qty"]) for row in answer.json()}
    return {symbol: format_decimal(quantity) for symbol, quantity in held.items() if quantity != ZERO}


def _compare_positions(
    request_risk: RequestRisk, read_venue: ReadVenuePositions, command_id: CommandId
) -> PositionComparison:
    try:
        account = request_risk(AccountQuery(request_id=command_id))
        if not isinstance(account, AccountSnapshot):
            return PositionComparison({}, {}, 0, f"risk answered {type(account).__name__} instead of the account")
        open_orders = len(account.working) + len(account.outbox) + len(account.unknown)
        if open_orders:
            request_risk(
                OperatorCommand(command_id=command_id, action=OperatorAction.CANCEL_ALL, reason="the run ends")
            )
        return PositionComparison(
            _open_positions(account), read_venue(), open_orders, None, account.realised, account.unrealised
        )
    except (PeerUnreachable, VenueUnavailable) as error:
        return PositionComparison({}, {}, 0, str(error))


def _open_positions(account: AccountSnapshot) -> Mapping[str, str]:
    return {one.symbol: format_decimal(one.quantity) for one in account.positions if one.quantity != 0}
