"""The value types of all messages: symbols, sides, amounts, identifiers, stream offsets."""

import re
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType, TypeAlias

from msgspec import Struct

Symbol = NewType("Symbol", str)
Venue = NewType("Venue", str)
AccountId = NewType("AccountId", str)
StrategyId = NewType("StrategyId", str)
SignalId = NewType("SignalId", str)
IntentId = NewType("IntentId", str)
ClientOrderId = NewType("ClientOrderId", str)
VenueOrderId = NewType("VenueOrderId", str)
ExecutionId = NewType("ExecutionId", str)
CommandId = NewType("CommandId", str)
Price: TypeAlias = Decimal
Quantity: TypeAlias = Decimal
Money: TypeAlias = Decimal
ZERO: Final = Decimal(0)
IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.-]+")
"""The characters that every venue accepts in a client order id."""
CLIENT_ORDER_ID_LENGTH_MAX: Final = 48
SIGNAL_ID_LENGTH_MAX: Final = 40
"""Leaves room in a client order id for the leg and the attempt."""


class Side(StrEnum):
    """The direction of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Market or limit order."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long an order stays active at the venue."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"


class StreamOffset(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The position of a message in a stream.

    The epoch of a state stream is new at every start of its producer; that of an event stream is the id of its journal.
    """

    stream: str
    epoch: str
    sequence: int


def format_decimal(number: Decimal) -> str:
    """Return a decimal as text without exponent or trailing zeros: 1E+2 is 100, 1.50 is 1.5, -0 is 0."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def is_identifier(text: str, *, length_max: int) -> bool:
    """Return whether every venue accepts the text as part of an id."""
    return len(text) <= length_max and IDENTIFIER.fullmatch(text) is not None
