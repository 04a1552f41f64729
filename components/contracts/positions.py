"""What risk says of the account: positions, profit and loss, and the trading state."""

from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from components.contracts.trading import Cause, TradingState
from components.contracts.values import Symbol


class Position(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """One symbol's position after a change; negative when short."""

    symbol: Symbol
    quantity: Decimal
    average_price: Decimal
    realised: Decimal
    working_buy: Decimal
    working_sell: Decimal
    at_ns: int


class ProfitAndLoss(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """The account's result, marked at the middle of the last quotes."""

    realised: Decimal
    unrealised: Decimal
    at_ns: int


class TradingStatus(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """The trading state and the causes behind it."""

    state: TradingState
    causes: tuple[Cause, ...]
    at_ns: int


PositionMessage: TypeAlias = Position | ProfitAndLoss | TradingStatus
