"""An intent is validated where it is constructed, and a signal cannot be constructed elsewhere."""

import copy
from dataclasses import FrozenInstanceError, replace
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import InvariantError
from components.contracts.signals import Approved, Intent, Purpose, Signal, Unchecked, propose
from components.contracts.values import OrderType
from tests.support.sample_messages import INTENT, TERMS


def an_intent(**changes: Any) -> Intent:
    return msgspec.structs.replace(INTENT, **changes)


def test_propose_wraps_what_is_wanted() -> None:
    signal = propose(INTENT)
    assert signal.intent is INTENT
    assert isinstance(signal.stage, Unchecked)


@pytest.mark.parametrize("mint", [None, object(), True, "MINT"])
def test_a_signal_made_by_hand_raises(mint: Any) -> None:
    with pytest.raises(InvariantError, match="constructed by propose"):
        Signal(intent=INTENT, stage=Approved(TERMS, bytes(32)), mint=mint)


def test_a_signal_without_the_mint_raises() -> None:
    make: Any = Signal
    with pytest.raises(TypeError):
        make(intent=INTENT, stage=Unchecked())


def test_replace_cannot_promote_a_signal() -> None:
    signal: Any = propose(INTENT)
    with pytest.raises(ValueError, match="InitVar 'mint' must be specified"):
        replace(signal, stage=Approved(TERMS, bytes(32)))
    with pytest.raises(InvariantError):
        replace(signal, stage=Approved(TERMS, bytes(32)), mint=None)


def test_a_signal_cannot_be_changed() -> None:
    signal: Any = propose(INTENT)
    with pytest.raises(FrozenInstanceError):
        signal.stage = Approved(TERMS, bytes(32))


def test_a_copy_is_at_the_same_stage() -> None:
    assert isinstance(copy.copy(propose(INTENT)).stage, Unchecked)


@pytest.mark.parametrize(
    "change",
    [
        {"signal_id": ""},
        {"signal_id": "x" * 41},
        {"signal_id": "with space"},
        {"signal_id": "line\n"},
        {"leg": -1},
        {"leg": 100},
        {"quantity": Decimal(0)},
        {"quantity": Decimal(-1)},
        {"quantity": Decimal("NaN")},
        {"quantity": Decimal("sNaN")},
        {"quantity": Decimal("Infinity")},
        {"quantity": Decimal("1E+999999")},
        {"quantity": Decimal("1E-999999")},
        {"quantity": Decimal("1.0000000001")},
        {"quantity": Decimal("1" * 5_000)},
        {"limit_price": Decimal(0)},
        {"limit_price": Decimal("-0.01")},
        {"limit_price": Decimal("NaN")},
        {"limit_price": Decimal("1E+13")},
        {"quantity": Decimal("0." + "1" * 5_000)},
        {"limit_price": Decimal("1.0000000001")},
    ],
    ids=str,
)
def test_what_no_venue_could_take_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        an_intent(**change)


@pytest.mark.parametrize("change", [{"limit_price": None}, {"order_type": OrderType.MARKET}], ids=str)
def test_a_limit_order_has_a_limit_and_a_market_order_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="order with limit price"):
        an_intent(**change)


def test_an_intent_that_is_none_cannot_be_decoded_either() -> None:
    wrong = msgspec.msgpack.encode(INTENT).replace(msgspec.msgpack.encode(str(INTENT.quantity)), b"\xa2-1", 1)
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(wrong, type=Intent)


@given(st.decimals(min_value="0.000000001", max_value=10**12, places=9))
def test_whatever_a_venue_can_count_is_taken(quantity: Decimal) -> None:
    assert an_intent(quantity=quantity).quantity == quantity


def test_the_intent_id_is_the_signals_and_the_leg() -> None:
    assert an_intent(leg=7).intent_id == f"{INTENT.signal_id}-7"


def test_only_an_entry_may_grow_a_position() -> None:
    assert [purpose for purpose in Purpose if not purpose.is_reduce_only] == [Purpose.ENTRY]
