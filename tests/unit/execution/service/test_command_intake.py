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
    harness = ExecutionHarness().open_journal(positions=[position(7)])
    assert isinstance(harness.journal[0], OpeningBalance)
    assert harness.journal[0].positions == (position(7),)
    assert harness.records(Reconciled)[0].differences == ()
    assert harness.service.unmet(harness.now_ns) == ()


def test_an_intent_is_on_disk_before_it_is_acknowledged_and_before_it_leaves() -> None:
    harness = ExecutionHarness().open_journal()
    effects = harness.send_command(approval_frame())
    kinds = [type(effect) for effect in effects]
    assert kinds == [Append, Append, ObserveLatency, Reply, CallVenue]
    assert [type(effect.entry) for effect in effects if isinstance(effect, Append)] == [IntentReceived, OrderSending]
    assert harness.replies() == [Accepted(CommandId(intent().intent_id), len(harness.journal) - 1)]
    assert harness.only_request(SubmitOrder).client_order_id == client_id()


def test_an_accepted_order_is_open() -> None:
    harness = ExecutionHarness().open_journal()
    harness.respond(harness.submit(), OrderAccepted(venue_order()))
    assert harness.states() == [OrderState.OPEN]


def test_a_duplicate_frame_gets_the_first_reply_and_sends_nothing() -> None:
    harness = ExecutionHarness().open_journal()
    harness.send_command(approval_frame())
    effects = harness.send_command(approval_frame())
    assert [type(effect) for effect in effects] == [Reply]
    assert harness.replies()[0] == harness.replies()[1]
    assert harness.metric('xtrader_commands_rejected_total{reason="replayed"}') == 1


def test_a_duplicate_gets_the_first_reply_after_expiry_and_restart_too() -> None:
    harness = ExecutionHarness().open_journal()
    harness.send_command(approval_frame())
    harness = harness.restart().start()
    harness.advance_ms(60_000)
    harness.send_command(approval_frame())
    assert harness.replies()[-1] == Accepted(
        CommandId(intent().intent_id), harness.state.receipts[intent().intent_id].sequence
    )


def test_the_same_intent_under_another_seal_is_rejected() -> None:
    harness = ExecutionHarness().open_journal()
    harness.send_command(approval_frame())
    harness.send_command(approval_frame(under=terms(ttl_ms=6_000)))
    assert harness.replies()[-1].reject_reason is RejectReason.REPLAYED
    assert len(harness.records(IntentReceived)) == 1


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
    harness = ExecutionHarness().open_journal()
    before = list(harness.journal)
    harness.send_command(sealed)
    assert isinstance(harness.replies()[-1], Rejected)
    assert harness.replies()[-1].reject_reason is fault
    assert harness.replies()[-1].command_id == ""
    assert harness.journal == before
    assert not harness.requests(SubmitOrder)
    assert harness.metric(f'xtrader_commands_rejected_total{{reason="{fault}"}}') == 1


def test_every_flipped_byte_of_a_frame_is_rejected() -> None:
    harness = ExecutionHarness().open_journal()
    good = approval_frame()
    for index in range(len(good)):
        harness.send_command(good[:index] + bytes((good[index] ^ 1,)) + good[index + 1 :])
    assert all(isinstance(reply, Rejected) for reply in harness.replies())
    assert not harness.records(IntentReceived)


def test_an_expired_approval_is_recorded_as_never_sent_once() -> None:
    harness = ExecutionHarness().open_journal()
    harness.advance_ms(10_000)
    harness.send_command(approval_frame())
    harness.send_command(approval_frame())
    assert [reply.reject_reason for reply in harness.replies()] == [RejectReason.EXPIRED, RejectReason.EXPIRED]
    assert [record.state for record in harness.records(OrderUpdated)] == [OrderState.NEVER_SENT]
    assert not harness.requests(SubmitOrder)


def test_nothing_new_is_accepted_before_the_account_is_reconciled() -> None:
    harness = ExecutionHarness().start()
    harness.send_command(approval_frame())
    assert harness.replies()[-1].reject_reason is RejectReason.NOT_ACCEPTING
    assert "account not reconciled yet" in harness.service.unmet(harness.now_ns)


def test_nothing_new_is_accepted_while_stopping() -> None:
    harness = ExecutionHarness().open_journal()
    harness.stop()
    harness.send_command(approval_frame())
    assert harness.replies()[-1].reject_reason is RejectReason.NOT_ACCEPTING
    assert harness.service.is_drained()


def test_a_stop_waits_for_the_responses_in_flight() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    harness.stop()
    assert not harness.service.is_drained()
    harness.respond(request, OrderAccepted(venue_order()))
    assert harness.service.is_drained()


def test_a_duplicate_control_gets_the_first_reply() -> None:
    harness = ExecutionHarness().open_journal()
    halt = control_frame(SetTradingState(CommandId("c-1"), TradingState.HALTED, "drill"), terms(harness.now_ns))
    harness.send_command(halt)
    go_on = control_frame(SetTradingState(CommandId("c-2"), TradingState.ACTIVE, "over"), terms(harness.now_ns))
    harness.send_command(go_on)
    harness.send_command(halt)
    assert harness.replies()[0] == harness.replies()[2]
    assert harness.state.trading_state is TradingState.ACTIVE


def test_the_venue_is_healthy_after_a_snapshot_with_the_stream_up() -> None:
    harness = ExecutionHarness().open_journal()
    assert [record.connectivity.value for record in harness.records(VenueConnectivityChanged)] == ["reached"]


def test_a_new_order_does_not_overtake_one_that_waits_to_be_sent() -> None:
    harness = ExecutionHarness().open_journal()
    sent = 0
    while harness.send_command(approval_frame(intent(sent + 1), terms(harness.now_ns))) and (
        calls := harness.requests(SubmitOrder)
    ):
        sent += 1
        harness.respond(
            calls[-1], OrderAccepted(venue_order(sent, state=OrderState.CANCELLED, venue_status="canceled"))
        )
    harness.now_ns += 500 * NS_PER_MS  # the budget of one order is restored, and no tick has used it
    harness.send_command(approval_frame(intent(sent + 2), terms(harness.now_ns)))
    assert harness.only_request(SubmitOrder).client_order_id == client_id(sent + 1)
    assert harness.order_state(sent + 2) is OrderState.RECEIVED


def test_an_altered_order_never_reaches_the_adapter() -> None:
    harness = ExecutionHarness().open_journal()
    request = harness.submit()
    assert encode_approval(request.signal) == approval_frame(under=terms(harness.now_ns))
