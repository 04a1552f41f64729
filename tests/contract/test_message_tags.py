"""Every tag of the bus and of the journals, pinned: a tag that changes makes old journals unreadable."""

import ast
from pathlib import Path
from types import ModuleType

import msgspec.inspect
import pytest

from components.contracts import approval, commands, decisions, market, orders, protocol, signals, trading
from components.contracts.protocol import Message
from tests.support.project import ROOT
from tests.support.sample_messages import all_message_types

TAGS = {
    approval: {"SealedControl", "SealedIntent"},
    commands: {"Accepted", "Cancel", "CancelAll", "Rejected", "SetTradingState", "Withdraw"},
    decisions: {
        "AccountQuery",
        "AccountSnapshot",
        "ApprovalReply",
        "ApprovalRequest",
        "CauseCleared",
        "CauseRaised",
        "CommandRejected",
        "Decision",
        "MalformedRequest",
        "OperatorCommand",
        "OperatorReply",
        "OrderEventApplied",
        "RiskStarted",
    },
    market: {"BookDelta", "BookGap", "BookSnapshot", "FeedHealth", "Quote", "SymbolHealth", "Trade"},
    orders: {
        "ClientOrderIdConflict",
        "ControlReceived",
        "Filled",
        "IntentReceived",
        "OpeningBalance",
        "OrderSending",
        "OrderUpdated",
        "Reconciled",
        "VenueConnectivityChanged",
    },
    protocol: {
        "ComponentHealth",
        "RecoveryBatch",
        "RecoveryUnavailable",
        "ReplayRequest",
        "SnapshotRequest",
        "SubscriberProgress",
    },
    signals: {"ApprovalTerms", "Intent"},
    trading: {"Position", "ProfitAndLoss", "TradingStatus"},
}
"""Add a line for a new message. Never change or remove one: journals of released versions carry these tags."""

CONTRACT_FILES = sorted((ROOT / "components" / "contracts").glob("*.py"))


def messages_of(module: ModuleType) -> list[type[Message]]:
    return [one for one in Message.__subclasses__() if one.__module__ == module.__name__]


def struct_info(message: type) -> msgspec.inspect.StructType:
    info = msgspec.inspect.type_info(message)
    assert isinstance(info, msgspec.inspect.StructType)
    return info


def implicit_tags(text: str) -> list[str]:
    """Return the classes whose tag would follow the name of the class."""
    return [
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef)
        for option in node.keywords
        if option.arg == "tag" and not (isinstance(option.value, ast.Constant) and isinstance(option.value.value, str))
    ]


@pytest.mark.parametrize("module", TAGS, ids=lambda module: module.__name__.rsplit(".", 1)[1])
def test_the_tags_of_a_module_are_the_pinned_ones(module: ModuleType) -> None:
    assert {struct_info(one).tag for one in messages_of(module)} == TAGS[module]


def test_every_message_on_a_stream_has_a_pinned_tag() -> None:
    pinned = set().union(*TAGS.values())
    assert {struct_info(one).tag for one in all_message_types()} <= pinned


def test_no_two_messages_share_a_tag() -> None:
    tags = [tag for module in TAGS for tag in TAGS[module]]
    assert len(tags) == len(set(tags))


@pytest.mark.parametrize("path", CONTRACT_FILES, ids=lambda path: path.name)
def test_no_tag_follows_the_name_of_its_class(path: Path) -> None:
    assert not implicit_tags(path.read_text())


def test_a_tag_that_follows_its_class_is_found() -> None:
    assert implicit_tags("class Quote(Struct, tag=True): ...") == ["Quote"]
