"""What risk decides and writes down: checks, decisions, causes, and the requests it answers."""

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
    """The stable name of each check; the same word in logs, metrics and answers."""

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
    """One check's account of itself: what it saw, what it allows, whether it holds."""

    name: CheckName
    observed: str
    limit: str
    passed: bool


class DecisionInputs(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Every judged fact that the log does not already hold, so that a decision can be re-judged from the log alone."""

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
    """Risk judged one intent; `terms` stand only where every check held."""

    intent: Intent
    checks: tuple[CheckResult, ...]
    inputs: DecisionInputs
    limits_version: str
    terms: ApprovalTerms | None

    @property
    def allowed(self) -> bool:
        """Say whether an approval was given."""
        return self.terms is not None

    @property
    def failed_checks(self) -> tuple[CheckResult, ...]:
        """The checks that did not hold."""
        return tuple(one for one in self.checks if not one.passed)


class CauseRaised(Message, frozen=True, tag="CauseRaised"):
    """From now on this is a reason not to trade freely."""

    cause: Cause
    reason: str
    at_ns: int


class CauseCleared(Message, frozen=True, tag="CauseCleared"):
    """This reason is gone."""

    cause: Cause
    reason: str
    at_ns: int


class OrderEventApplied(Message, frozen=True, tag="OrderEventApplied"):
    """One record of execution's journal, taken into risk's own log in sequence."""

    offset: StreamOffset
    event: OrderMessage
    at_ns: int


class CommandRejected(Message, frozen=True, tag="CommandRejected"):
    """Execution refused an approved intent for good: it was never sent, its exposure is released."""

    intent_id: IntentId
    reject_reason: RejectReason
    detail: str
    at_ns: int


class RiskStarted(Message, frozen=True, tag="RiskStarted"):
    """A start of risk on this log: as which build, under which limits (whole, so the log alone can be re-judged)."""

    account: AccountId
    limits_version: str
    version: str
    at_ns: int
    limits: str


DecisionMessage: TypeAlias = Decision | CauseRaised | CauseCleared | OrderEventApplied | CommandRejected | RiskStarted


class ApprovalRequest(Message, frozen=True, tag="ApprovalRequest"):
    """Judge this intent; the request id is the intent id, so a repeat gets the stored answer."""

    intent: Intent


class OperatorAction(StrEnum):
    """What an operator may ask of risk."""

    HALT = "halt"
    RESUME = "resume"
    CANCEL_ALL = "cancel_all"


class OperatorCommand(Message, frozen=True, tag="OperatorCommand"):
    """An operator's request."""

    command_id: CommandId
    action: OperatorAction
    reason: str


class AccountQuery(Message, frozen=True, tag="AccountQuery"):
    """Show the account as risk sees it."""

    request_id: str


RiskRequest: TypeAlias = ApprovalRequest | OperatorCommand | AccountQuery


class ApprovalReply(Message, frozen=True, tag="ApprovalReply"):
    """The answer to one intent: every check's account, and the record of the log that holds it."""

    intent_id: IntentId
    allowed: bool
    checks: tuple[CheckResult, ...]
    sequence: int


class OperatorReply(Message, frozen=True, tag="OperatorReply"):
    """The answer to an operator."""

    command_id: CommandId
    done: bool
    detail: str


class AccountPosition(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One position as risk sees it."""

    symbol: Symbol
    quantity: Decimal
    average_price: Decimal


class AccountSnapshot(Message, frozen=True, tag="AccountSnapshot"):
    """The account as risk sees it now."""

    request_id: str
    account: AccountId
    state: TradingState
    causes: tuple[Cause, ...]
    positions: tuple[AccountPosition, ...]
    working: tuple[IntentId, ...]
    outbox: tuple[IntentId, ...]
    unknown: tuple[IntentId, ...]
    realised: Decimal
    unrealised: Decimal
    sequence: int


class MalformedRequest(Message, frozen=True, tag="MalformedRequest"):
    """The request was no request; nothing was done."""

    detail: str


RiskReply: TypeAlias = ApprovalReply | OperatorReply | AccountSnapshot | MalformedRequest
