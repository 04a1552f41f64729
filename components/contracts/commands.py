"""What risk tells execution besides placing an order, and how execution acknowledges."""

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
    """Do not send this approved intent if it has not left yet."""

    command_id: CommandId
    intent_id: IntentId
    reason: str


class SetTradingState(Message, frozen=True, tag="SetTradingState"):
    """From now on the account's trading state is this one."""

    command_id: CommandId
    state: TradingState
    reason: str


Control: TypeAlias = Cancel | CancelAll | Withdraw | SetTradingState


class RejectReason(StrEnum):
    """Why a sealed frame was refused."""

    MALFORMED = "malformed"
    VERSION = "version"
    FORGED = "forged"
    EXPIRED = "expired"
    WRONG_ACCOUNT = "wrong_account"
    REPLAYED = "replayed"
    NOT_ACCEPTING = "not_accepting"


class Accepted(Message, frozen=True, tag="Accepted"):
    """The command is on execution's disk (a repeat gets the same answer)."""

    command_id: CommandId
    sequence: int


class Rejected(Message, frozen=True, tag="Rejected"):
    """The frame was not acted on; without a proven id `command_id` is empty."""

    command_id: CommandId
    reject_reason: RejectReason
    detail: str


Acknowledgement: TypeAlias = Accepted | Rejected
