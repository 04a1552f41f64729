"""Sealed frames: which are accepted, answered again, and rejected."""

import pytest

from components.contracts.approval import encode_approval
from components.contracts.commands import Accepted, Rejected, RejectReason, SetTradingState
from components.contracts.orders import (
    IntentReceived,
    OpeningBalance,
    OrderSending,
    OrderState,
    OrderUpdated,
    Reconciled,
    VenueConnectivityChanged,
)
from components.contracts.trading import TradingState
from components.contracts.values import AccountId, CommandId
from components.execution.core.venue_messages import OrderAccepted, SubmitOrder
from components.runtime.service import Append, CallVenue, ObserveLatency, Reply
from tests.support.execution_harness import (
    NS_PER_MS,
    OTHER_KEY,
    ExecutionHarness,
    approval_frame,
    client_id,
    control_frame,
    intent,
    position,
    terms,
    venue_order,
)


def test_an_empty_journal_begins_with_what_the_venue_holds() -> None:
    scene = ExecutionHarness().open_journal(positions=[position(7)])
    assert isinstance(scene.journal[0], OpeningBalance)
    assert scene.journal[0].positions == (position(7),)
    assert scene.records(Reconciled)[0].differences == ()
    assert scene.service.unmet(scene.now_ns) == ()


def test_an_intent_is_on_disk_before_it_is_acknowledged_and_before_it_leaves() -> None:
    scene = ExecutionHarness().open_journal()
    effects = scene.send_command(approval_frame())
    kinds = [type(effect) for effect in effects]
    assert kinds == [Append, Append, ObserveLatency, Reply, CallVenue]
    assert [type(effect.entry) for effect in effects if isinstance(effect, Append)] == [IntentReceived, OrderSending]
    assert scene.replies() == [Accepted(CommandId(intent().intent_id), len(scene.journal) - 1)]
    assert scene.only_request(SubmitOrder).client_order_id == client_id()


def test_an_accepted_order_is_open() -> None:
    scene = ExecutionHarness().open_journal()
    scene.respond(scene.submit(), OrderAccepted(venue_order()))
    assert scene.states() == [OrderState.OPEN]


def test_a_duplicate_frame_gets_the_first_reply_and_sends_nothing() -> None:
    scene = ExecutionHarness().open_journal()
    scene.send_command(approval_frame())
    effects = scene.send_command(approval_frame())
    assert [type(effect) for effect in effects] == [Reply]
    assert scene.replies()[0] == scene.replies()[1]
    assert scene.metric('xtrader_frames_refused_total{fault="replayed"}') == 1


def test_a_duplicate_gets_the_first_reply_after_expiry_and_restart_too() -> None:
    scene = ExecutionHarness().open_journal()
    scene.send_command(approval_frame())
    scene = scene.restart().start()
    scene.advance_ms(60_000)
    scene.send_command(approval_frame())
    assert scene.replies()[-1] == Accepted(
        CommandId(intent().intent_id), scene.state.receipts[intent().intent_id].sequence
    )


def test_the_same_intent_under_another_seal_is_rejected() -> None:
    scene = ExecutionHarness().open_journal()
    scene.send_command(approval_frame())
    scene.send_command(approval_frame(under=terms(ttl_ms=6_000)))
    assert scene.replies()[-1].fault is RejectReason.REPLAYED
    assert len(scene.records(IntentReceived)) == 1


@pytest.mark.parametrize(
    ("sealed", "fault"),
    [
        (approval_frame(key=OTHER_KEY), RejectReason.FORGED),
        (approval_frame()[:-40] + b"\x00" + approval_frame()[-39:], RejectReason.FORGED),
        (b"\x02" + approval_frame()[1:], RejectReason.VERSION),
        (b"", RejectReason.MALFORMED),
        (approval_frame(under=terms(account=AccountId("another"))), RejectReason.WRONG_ACCOUNT),
    ],
)
def test_a_frame_that_fails_verification_has_no_effect(sealed: bytes, fault: RejectReason) -> None:
    scene = ExecutionHarness().open_journal()
    before = list(scene.journal)
    scene.send_command(sealed)
    assert isinstance(scene.replies()[-1], Rejected)
    assert scene.replies()[-1].fault is fault
    assert scene.replies()[-1].command_id == ""
    assert scene.journal == before
    assert not scene.requests(SubmitOrder)
    assert scene.metric(f'xtrader_frames_refused_total{{fault="{fault}"}}') == 1


def test_every_flipped_byte_of_a_frame_is_rejected() -> None:
    scene = ExecutionHarness().open_journal()
    good = approval_frame()
    for place in range(len(good)):
        scene.send_command(good[:place] + bytes((good[place] ^ 1,)) + good[place + 1 :])
    assert all(isinstance(reply, Rejected) for reply in scene.replies())
    assert not scene.records(IntentReceived)


def test_an_expired_approval_is_recorded_as_never_sent_once() -> None:
    scene = ExecutionHarness().open_journal()
    scene.advance_ms(10_000)
    scene.send_command(approval_frame())
    scene.send_command(approval_frame())
    assert [reply.fault for reply in scene.replies()] == [RejectReason.EXPIRED, RejectReason.EXPIRED]
    assert [record.state for record in scene.records(OrderUpdated)] == [OrderState.NEVER_SENT]
    assert not scene.requests(SubmitOrder)


def test_nothing_new_is_accepted_before_the_account_is_reconciled() -> None:
    scene = ExecutionHarness().start()
    scene.send_command(approval_frame())
    assert scene.replies()[-1].fault is RejectReason.NOT_ACCEPTING
    assert "account not reconciled yet" in scene.service.unmet(scene.now_ns)


def test_nothing_new_is_accepted_while_stopping() -> None:
    scene = ExecutionHarness().open_journal()
    scene.stop()
    scene.send_command(approval_frame())
    assert scene.replies()[-1].fault is RejectReason.NOT_ACCEPTING
    assert scene.service.is_drained()


def test_a_stop_waits_for_the_responses_in_flight() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    scene.stop()
    assert not scene.service.is_drained()
    scene.respond(request, OrderAccepted(venue_order()))
    assert scene.service.is_drained()


def test_a_duplicate_control_gets_the_first_reply() -> None:
    scene = ExecutionHarness().open_journal()
    halt = control_frame(SetTradingState(CommandId("c-1"), TradingState.HALTED, "drill"), terms(scene.now_ns))
    scene.send_command(halt)
    go_on = control_frame(SetTradingState(CommandId("c-2"), TradingState.ACTIVE, "over"), terms(scene.now_ns))
    scene.send_command(go_on)
    scene.send_command(halt)
    assert scene.replies()[0] == scene.replies()[2]
    assert scene.state.trading_state is TradingState.ACTIVE


def test_the_venue_is_healthy_after_a_snapshot_with_the_stream_up() -> None:
    scene = ExecutionHarness().open_journal()
    assert [record.connectivity.value for record in scene.records(VenueConnectivityChanged)] == ["reached"]


def test_a_new_order_does_not_overtake_one_that_waits_to_be_sent() -> None:
    scene = ExecutionHarness().open_journal()
    sent = 0
    while scene.send_command(approval_frame(intent(sent + 1), terms(scene.now_ns))) and (
        calls := scene.requests(SubmitOrder)
    ):
        sent += 1
        scene.respond(calls[-1], OrderAccepted(venue_order(sent, state=OrderState.CANCELLED, venue_status="canceled")))
    scene.now_ns += 500 * NS_PER_MS  # the budget of one order is restored, and no tick has used it
    scene.send_command(approval_frame(intent(sent + 2), terms(scene.now_ns)))
    assert scene.only_request(SubmitOrder).client_order_id == client_id(sent + 1)
    assert scene.order_state(sent + 2) is OrderState.RECEIVED


def test_an_altered_order_never_reaches_the_adapter() -> None:
    scene = ExecutionHarness().open_journal()
    request = scene.submit()
    assert encode_approval(request.signal) == approval_frame(under=terms(scene.now_ns))
