"""The controls that risk sends to execution beside approvals, and execution's acknowledgements."""

from enum import StrEnum
from typing import TypeAlias

from components.contracts.protocol import Message
from components.contracts.trading import TradingState
from components.contracts.values import ClientOrderId, CommandId, IntentId


class Cancel(Message, frozen=True, tag="Cancel"):
    """Cancel one working order."""

    command_id: CommandId
    client_order_id: ClientOrderId
    reason: str


class CancelAll(Message, frozen=True, tag="CancelAll"):
    """Cancel every working order of the account."""

    command_id: CommandId
    reason: str


class Withdraw(Message, frozen=True, tag="Withdraw"):
    """Do not send this approved intent if it has not been sent yet."""

    command_id: CommandId
    intent_id: IntentId
    reason: str


class SetTradingState(Message, frozen=True, tag="SetTradingState"):
    """Set the account's trading state."""

    command_id: CommandId
    state: TradingState
    reason: str


Control: TypeAlias = Cancel | CancelAll | Withdraw | SetTradingState


class RejectReason(StrEnum):
    """Why execution rejected a sealed frame."""

    MALFORMED = "malformed"
    VERSION = "version"
    FORGED = "forged"
    EXPIRED = "expired"
    WRONG_ACCOUNT = "wrong_account"
    REPLAYED = "replayed"
    NOT_ACCEPTING = "not_accepting"


class Accepted(Message, frozen=True, tag="Accepted"):
    """The command is durable in execution's journal. A duplicate gets the same reply."""

    command_id: CommandId
    sequence: int


class Rejected(Message, frozen=True, tag="Rejected"):
    """The frame had no effect. `command_id` is empty if no id could be authenticated."""

    command_id: CommandId
    reject_reason: RejectReason
    detail: str


Acknowledgement: TypeAlias = Accepted | Rejected
