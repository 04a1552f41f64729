"""The end of a run: cancel what works, wait until nothing is open, hold our positions against the venue's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import httpx

from components.contracts.decisions import Account, Action, JudgeReply, JudgeRequest, Operate, ShowAccount
from components.contracts.errors import PeerUnreachable, VenueUnavailable
from components.contracts.values import ZERO, CommandId, canonical
from components.runtime.clock import Clock
from components.xtrader.children import VenueAddress

SETTLE_S_MAX: Final = 12.0
LOOK_AGAIN_MS: Final = 150
VENUE_S_MAX: Final = 3.0

AskRisk = Callable[[JudgeRequest], JudgeReply]
ReadVenue = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Comparison:
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


def settle(ask: AskRisk, venue: ReadVenue, clock: Clock, wait_ms: Callable[[int], None], run_id: str) -> Comparison:
    """Cancel every working order, wait until nothing is open and both sides agree, or say what they said last."""
    deadline_ns = clock.monotonic_ns() + int(SETTLE_S_MAX * 1e9)
    round_number = 0
    while True:
        comparison = _look(ask, venue, CommandId(f"up-{run_id}-{round_number}"))
        if comparison.is_equal or clock.monotonic_ns() >= deadline_ns:
            return comparison
        wait_ms(LOOK_AGAIN_MS)
        round_number += 1


def read_venue_positions(address: VenueAddress | None) -> Mapping[str, str]:
    """Ask the venue itself, not our own journals."""
    if address is None:
        raise VenueUnavailable("the sandbox has not said where it is")
    headers = {"APCA-API-KEY-ID": address.key, "APCA-API-SECRET-KEY": address.secret}
    try:
        answer = httpx.get(f"{address.trading_url}/v2/positions", headers=headers, timeout=VENUE_S_MAX)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise VenueUnavailable(f"positions at {address.trading_url}: {error}") from error
    held = {row["symbol"]: Decimal(row["qty"]) for row in answer.json()}
    return {symbol: canonical(quantity) for symbol, quantity in held.items() if quantity != ZERO}


def _look(ask: AskRisk, venue: ReadVenue, command_id: CommandId) -> Comparison:
    try:
        account = ask(ShowAccount(request_id=command_id))
        if not isinstance(account, Account):
            return Comparison({}, {}, 0, f"risk answered {type(account).__name__} instead of the account")
        open_orders = len(account.working) + len(account.outbox) + len(account.unknown)
        if open_orders:
            ask(Operate(command_id=command_id, action=Action.CANCEL_ALL, reason="the run ends"))
        return Comparison(_holdings(account), venue(), open_orders, None, account.realised, account.unrealised)
    except (PeerUnreachable, VenueUnavailable) as error:
        return Comparison({}, {}, 0, str(error))


def _holdings(account: Account) -> Mapping[str, str]:
    return {one.symbol: canonical(one.quantity) for one in account.holdings if one.quantity != 0}
