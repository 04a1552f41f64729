"""The account as others are told of it: positions, result, trading state."""

from components.contracts.decisions import AccountPosition, AccountSnapshot
from components.contracts.orders import OrderState
from components.contracts.positions import Position, ProfitAndLoss, TradingStatus
from components.contracts.values import IntentId
from components.risk.core.ledger import Exposure, exact_sum, unrealised_pnl
from components.risk.core.state import RiskState
from components.risk.core.surroundings import Observations


def position_message(exposure: Exposure, now_ns: int) -> Position:
    """Tell one symbol's position."""
    return Position(
        symbol=exposure.symbol,
        quantity=exposure.quantity,
        average_price=exposure.average_price,
        realised=exposure.realised,
        working_buy=exposure.working_buy,
        working_sell=exposure.working_sell,
        at_ns=now_ns,
    )


def changed_positions(before: RiskState, after: RiskState, now_ns: int) -> list[Position]:
    """Tell the positions that are not what they were."""
    new = ((before.exposures.get(symbol), one) for symbol, one in after.exposures.items())
    return [position_message(one, now_ns) for was, one in new if was is not one and was != one]


def pnl_of(state: RiskState, observations: Observations, now_ns: int) -> ProfitAndLoss:
    """Tell the account's result, marked at the middle of the last quotes."""
    exposures = state.exposures.values()
    marked = exact_sum(unrealised_pnl(one, observations.mid(one.symbol)) for one in exposures)
    return ProfitAndLoss(exact_sum(one.realised for one in exposures), marked, now_ns)


def trading_status_of(state: RiskState, now_ns: int) -> TradingStatus:
    """Tell the trading state and the causes behind it."""
    return TradingStatus(state.trading_state, tuple(state.causes), now_ns)


def account_snapshot(state: RiskState, pnl: ProfitAndLoss, request_id: str) -> AccountSnapshot:
    """Tell everything there is to know of the account."""
    orders = [(IntentId(name), order.state) for name, order in state.orders.items()]
    return AccountSnapshot(
        request_id=request_id,
        account=state.account,
        state=state.trading_state,
        causes=tuple(state.causes),
        positions=tuple(
            AccountPosition(one.symbol, one.quantity, one.average_price)
            for one in state.exposures.values()
            if one.quantity
        ),
        working=tuple(name for name, at in orders if at not in (None, OrderState.UNKNOWN)),
        outbox=tuple(name for name, at in orders if at is None),
        unknown=tuple(name for name, at in orders if at is OrderState.UNKNOWN),
        realised=pnl.realised,
        unrealised=pnl.unrealised,
        sequence=state.last_sequence,
    )
