"""A strategy's intent to trade, and its two stages: Signal[Unchecked] and Signal[Approved]."""

from dataclasses import InitVar, dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final, Generic, TypeVar, final

from msgspec import Struct

from components.contracts._mint import MINT, Mint
from components.contracts.errors import InvariantError
from components.contracts.market import BookState
from components.contracts.protocol import Message
from components.contracts.values import (
    SIGNAL_ID_LENGTH_MAX,
    ZERO,
    AccountId,
    IntentId,
    OrderType,
    Side,
    SignalId,
    StrategyId,
    StreamOffset,
    Symbol,
    TimeInForce,
    is_identifier,
)

AMOUNT_STEP: Final = Decimal("1e-9")
AMOUNT_MAX: Final = Decimal("1e12")
"""No venue uses finer or larger amounts, and arithmetic within these bounds neither rounds nor overflows."""
AMOUNT_RULE: Final = "must be above 0, at most 1e12, with at most 9 decimals"


class Purpose(StrEnum):
    """The purpose of an order; it determines which checks apply."""

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"
    FLATTEN = "flatten"

    @property
    def is_reduce_only(self) -> bool:
        """Return whether an order of this purpose may never increase or reverse a position."""
        return self is not Purpose.ENTRY


class ModelProvenance(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The model's inputs and prediction, so that a fill can be traced back to its ticks."""

    model_hash: str
    schema_hash: str
    features: tuple[float, ...]
    prediction: tuple[float, ...]
    input_offsets: tuple[StreamOffset, ...]
    book_state: BookState


class Intent(Message, frozen=True, tag="Intent"):
    """One order that a strategy wants to place.

    `tick_at_ns` is the time when the venue frame that caused it was decoded.
    """

    signal_id: SignalId
    leg: int
    strategy: StrategyId
    purpose: Purpose
    symbol: Symbol
    side: Side
    quantity: Decimal
    order_type: OrderType
    limit_price: Decimal | None
    time_in_force: TimeInForce
    provenance: ModelProvenance
    tick_at_ns: int
    created_at_ns: int
    expires_at_ns: int

    def __post_init__(self) -> None:
        """Reject what no venue accepts. A ValueError raised here names the path when decoding."""
        if not is_identifier(self.signal_id, length_max=SIGNAL_ID_LENGTH_MAX):
            raise ValueError(f"signal_id {self.signal_id!r}: 1-{SIGNAL_ID_LENGTH_MAX} of A-Z a-z 0-9 _ . -")
        if not 0 <= self.leg <= 99:
            raise ValueError(f"leg {self.leg}: 0-99")
        if not _is_valid_amount(self.quantity):
            raise ValueError(f"quantity {self.quantity:.12g}: {AMOUNT_RULE}")
        if (self.limit_price is not None) != (self.order_type is OrderType.LIMIT):
            raise ValueError(f"a {self.order_type} order with limit price {self.limit_price}")
        if self.limit_price is not None and not _is_valid_amount(self.limit_price):
            raise ValueError(f"limit_price {self.limit_price:.12g}: {AMOUNT_RULE}")

    @property
    def intent_id(self) -> IntentId:
        """The id of one leg of one signal, under which it is checked, journalled and answered."""
        return IntentId(f"{self.signal_id}-{self.leg}")


def _is_valid_amount(number: Decimal) -> bool:
    return number.is_finite() and ZERO < number <= AMOUNT_MAX and not number % AMOUNT_STEP


class ApprovalTerms(Message, frozen=True, tag="ApprovalTerms"):
    """The limits, the state and the time for which an approval is valid."""

    account: AccountId
    limits_version: str
    state_sequence: int
    approved_at_ns: int
    expires_at_ns: int


@final
class Unchecked(Struct, frozen=True, gc=False):
    """The stage of a signal that risk has not checked."""


@final
class Approved(Struct, frozen=True, gc=False):
    """The stage of an approved signal: the terms of the approval, and the seal over intent and terms."""

    terms: ApprovalTerms
    seal: bytes


Stage = TypeVar("Stage", Unchecked, Approved)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Generic[Stage]):
    """An intent together with its stage. Only a Signal[Approved] carries the seal without which no order is sent."""

    intent: Intent
    stage: Stage
    mint: InitVar[Mint]

    def __post_init__(self, mint: Mint) -> None:
        """Reject signals that other modules construct, also by dataclasses.replace()."""
        if mint is not MINT:
            raise InvariantError("a Signal is constructed by propose() and by contracts.approval only")


def propose(intent: Intent) -> Signal[Unchecked]:
    """Return an unchecked signal for this intent."""
    return Signal(intent=intent, stage=Unchecked(), mint=MINT)
