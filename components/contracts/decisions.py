"""Risk's decisions and journal records (checks, decisions, causes), and the requests that risk answers."""

from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from components.contracts.commands import RejectReason
from components.contracts.market import BookState
from components.contracts.orders import OrderMessage
from components.contracts.protocol import Message
from components.contracts.signals import ApprovalTerms, Intent
from components.contracts.trading import Cause, TradingState
from components.contracts.values import AccountId, CommandId, IntentId, StreamOffset, Symbol


class CheckName(StrEnum):
    """The stable name of each check, used in logs, metrics and replies."""

    TRADING_STATE = "trading_state"
    SYMBOL_ALLOWED = "symbol_allowed"
    SIGNAL_AGE = "signal_age"
    DUPLICATE = "duplicate"
    BOOK_STATE = "book_state"
    QUOTE_AGE = "quote_age"
    SPREAD = "spread"
    PRICE_COLLAR = "price_collar"
    PRICE_TICK = "price_tick"
    ORDER_QUANTITY = "order_quantity"
    ORDER_NOTIONAL = "order_notional"
    POSITION = "position"
    SHORT_SALE = "short_sale"
    REDUCE_ONLY = "shrinks_only"
    SELF_CROSS = "self_cross"
    OPEN_ORDERS = "open_orders"
    ORDER_RATE = "order_rate"


class CheckResult(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The result of one check: the observed value, the limit, and whether it passed."""

    name: CheckName
    observed: str
    limit: str
    passed: bool


class DecisionInputs(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Every input that risk's log does not hold elsewhere: the log alone suffices to re-evaluate a decision."""

    now_ns: int
    bid_price: Decimal | None
    ask_price: Decimal | None
    quote_received_at_ns: int
    quote_offset: StreamOffset | None
    book_state: BookState
    bus_intact: bool
    causes: tuple[Cause, ...]
    is_stopping: bool


class Decision(Message, frozen=True, tag="Decision"):
    """The decision on one intent. `terms` are set only if every check passed."""

    intent: Intent
    checks: tuple[CheckResult, ...]
    inputs: DecisionInputs
    limits_version: str
    terms: ApprovalTerms | None

    @property
    def allowed(self) -> bool:
        """Return whether the intent was approved."""
        return self.terms is not None

    @property
    def failed_checks(self) -> tuple[CheckResult, ...]:
        """The checks that failed."""
        return tuple(one for one in self.checks if not one.passed)


class CauseRaised(Message, frozen=True, tag="CauseRaised"):
    """A cause restricts trading from now on."""

    cause: Cause
    reason: str
    at_ns: int


class CauseCleared(Message, frozen=True, tag="CauseCleared"):
    """A cause no longer restricts trading."""

    cause: Cause
    reason: str
    at_ns: int


class OrderEventApplied(Message, frozen=True, tag="OrderEventApplied"):
    """One record of execution's journal, copied into risk's log in sequence."""

    offset: StreamOffset
    event: OrderMessage
    at_ns: int


class CommandRejected(Message, frozen=True, tag="CommandRejected"):
    """Execution rejected an approved intent for good: it was never sent, and its exposure is released."""

    intent_id: IntentId
    reject_reason: RejectReason
    detail: str
    at_ns: int


class RiskStarted(Message, frozen=True, tag="RiskStarted"):
    """Risk started on this log: the build, and the complete limits for a later re-evaluation."""

    account: AccountId
    limits_version: str
    version: str
    at_ns: int
    limits: str


DecisionMessage: TypeAlias = Decision | CauseRaised | CauseCleared | OrderEventApplied | CommandRejected | RiskStarted


class ApprovalRequest(Message, frozen=True, tag="ApprovalRequest"):
    """Request a decision on this intent. The request id is the intent id, so a duplicate gets the stored reply."""

    intent: Intent


class OperatorAction(StrEnum):
    """What an operator can request of risk."""

    HALT = "halt"
    RESUME = "resume"
    CANCEL_ALL = "cancel_all"


class OperatorCommand(Message, frozen=True, tag="OperatorCommand"):
    """A request of an operator."""

    command_id: CommandId
    action: OperatorAction
    reason: str


class AccountQuery(Message, frozen=True, tag="AccountQuery"):
    """Request a snapshot of the account as risk knows it."""

    request_id: str


RiskRequest: TypeAlias = ApprovalRequest | OperatorCommand | AccountQuery


class ApprovalReply(Message, frozen=True, tag="ApprovalReply"):
    """The reply to one intent: the result of every check, and the sequence of the decision in risk's log."""

    intent_id: IntentId
    allowed: bool
    checks: tuple[CheckResult, ...]
    sequence: int


class OperatorReply(Message, frozen=True, tag="OperatorReply"):
    """The reply to an operator."""

    command_id: CommandId
    done: bool
    detail: str


class AccountPosition(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One position as risk knows it."""

    symbol: Symbol
    quantity: Decimal
    average_price: Decimal


class AccountSnapshot(Message, frozen=True, tag="AccountSnapshot"):
    """The account as risk knows it now."""

    request_id: str
    account: AccountId
    state: TradingState
    causes: tuple[Cause, ...]
    positions: tuple[AccountPosition, ...]
    working: tuple[IntentId, ...]
    """Received by execution and not final."""
    outbox: tuple[IntentId, ...]
    """Approved, and not yet received by execution."""
    unknown: tuple[IntentId, ...]
    """The outcome at the venue is unknown."""
    realised: Decimal
    unrealised: Decimal
    sequence: int


class MalformedRequest(Message, frozen=True, tag="MalformedRequest"):
    """The request could not be decoded and had no effect."""

    detail: str


RiskReply: TypeAlias = ApprovalReply | OperatorReply | AccountSnapshot | MalformedRequest
