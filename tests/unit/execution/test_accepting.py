"""Claims about sealed frames: what is accepted, answered again, and refused."""

import pytest

from components.contracts.approval import write_frame
from components.contracts.commands import Accepted, Fault, Refused, SetTradingState
from components.contracts.orders import (
    IntentReceived,
    Opening,
    OrderSending,
    OrderState,
    OrderUpdated,
    Reconciled,
    VenueChanged,
)
from components.contracts.trading import TradingState
from components.contracts.values import AccountId, CommandId
from components.execution.core.venue import OrderAccepted, SubmitOrder
from components.runtime.service import Append, Call, Observe, Reply
from tests.unit.execution.scene import (
    NS_PER_MS,
    OTHER_KEY,
    Scene,
    control_frame,
    frame,
    intent,
    name_of,
    position,
    seen,
    terms,
)


def test_an_empty_journal_begins_with_what_the_venue_holds() -> None:
    scene = Scene().open(positions=[position(7)])
    assert isinstance(scene.journal[0], Opening)
    assert scene.journal[0].positions == (position(7),)
    assert scene.records(Reconciled)[0].differences == ()
    assert scene.service.unmet(scene.now_ns) == ()


def test_an_intent_is_on_disk_before_it_is_acknowledged_and_before_it_leaves() -> None:
    scene = Scene().open()
    effects = scene.ask(frame())
    kinds = [type(effect) for effect in effects]
    assert kinds == [Append, Append, Observe, Reply, Call]
    assert [type(effect.entry) for effect in effects if isinstance(effect, Append)] == [IntentReceived, OrderSending]
    assert scene.replies() == [Accepted(CommandId(intent().intent_id), len(scene.journal) - 1)]
    assert scene.call(SubmitOrder).client_order_id == name_of()


def test_the_venues_yes_makes_an_order_open() -> None:
    scene = Scene().open()
    scene.answer(scene.accept(), OrderAccepted(seen()))
    assert scene.states() == [OrderState.OPEN]


def test_a_repeated_frame_gets_the_first_answer_and_sends_nothing() -> None:
    scene = Scene().open()
    scene.ask(frame())
    effects = scene.ask(frame())
    assert [type(effect) for effect in effects] == [Reply]
    assert scene.replies()[0] == scene.replies()[1]
    assert scene.metric('xtrader_frames_refused_total{fault="replayed"}') == 1


def test_a_repeat_gets_the_first_answer_after_expiry_and_restart_too() -> None:
    scene = Scene().open()
    scene.ask(frame())
    scene = scene.restart().start()
    scene.pass_ms(60_000)
    scene.ask(frame())
    assert scene.replies()[-1] == Accepted(
        CommandId(intent().intent_id), scene.state.receipts[intent().intent_id].sequence
    )


def test_the_same_intent_under_another_seal_is_refused() -> None:
    scene = Scene().open()
    scene.ask(frame())
    scene.ask(frame(given=terms(life_ms=6_000)))
    assert scene.replies()[-1].fault is Fault.REPLAYED
    assert len(scene.records(IntentReceived)) == 1


@pytest.mark.parametrize(
    ("sealed", "fault"),
    [
        (frame(key=OTHER_KEY), Fault.FORGED),
        (frame()[:-40] + b"\x00" + frame()[-39:], Fault.FORGED),
        (b"\x02" + frame()[1:], Fault.VERSION),
        (b"", Fault.MALFORMED),
        (frame(given=terms(account=AccountId("another"))), Fault.WRONG_ACCOUNT),
    ],
)
def test_a_frame_that_is_not_proven_touches_nothing(sealed: bytes, fault: Fault) -> None:
    scene = Scene().open()
    before = list(scene.journal)
    scene.ask(sealed)
    assert isinstance(scene.replies()[-1], Refused)
    assert scene.replies()[-1].fault is fault
    assert scene.replies()[-1].command_id == ""
    assert scene.journal == before
    assert not scene.calls(SubmitOrder)
    assert scene.metric(f'xtrader_frames_refused_total{{fault="{fault}"}}') == 1


def test_every_flipped_byte_of_a_frame_is_refused() -> None:
    scene = Scene().open()
    good = frame()
    for place in range(len(good)):
        scene.ask(good[:place] + bytes((good[place] ^ 1,)) + good[place + 1 :])
    assert all(isinstance(reply, Refused) for reply in scene.replies())
    assert not scene.records(IntentReceived)


def test_an_expired_approval_is_written_down_as_never_sent_once() -> None:
    scene = Scene().open()
    scene.pass_ms(10_000)
    scene.ask(frame())
    scene.ask(frame())
    assert [reply.fault for reply in scene.replies()] == [Fault.EXPIRED, Fault.EXPIRED]
    assert [record.state for record in scene.records(OrderUpdated)] == [OrderState.NEVER_SENT]
    assert not scene.calls(SubmitOrder)


def test_nothing_new_is_accepted_before_the_account_is_reconciled() -> None:
    scene = Scene().start()
    scene.ask(frame())
    assert scene.replies()[-1].fault is Fault.NOT_ACCEPTING
    assert "account not reconciled yet" in scene.service.unmet(scene.now_ns)


def test_nothing_new_is_accepted_while_stopping() -> None:
    scene = Scene().open()
    scene.stop()
    scene.ask(frame())
    assert scene.replies()[-1].fault is Fault.NOT_ACCEPTING
    assert scene.service.is_drained()


def test_a_stop_waits_for_the_answers_to_what_was_sent() -> None:
    scene = Scene().open()
    request = scene.accept()
    scene.stop()
    assert not scene.service.is_drained()
    scene.answer(request, OrderAccepted(seen()))
    assert scene.service.is_drained()


def test_a_repeated_control_gets_the_first_answer() -> None:
    scene = Scene().open()
    halt = control_frame(SetTradingState(CommandId("c-1"), TradingState.HALTED, "drill"), terms(scene.now_ns))
    scene.ask(halt)
    go_on = control_frame(SetTradingState(CommandId("c-2"), TradingState.ACTIVE, "over"), terms(scene.now_ns))
    scene.ask(go_on)
    scene.ask(halt)
    assert scene.replies()[0] == scene.replies()[2]
    assert scene.state.trading is TradingState.ACTIVE


def test_the_venue_counts_as_reached_when_it_was_read_with_the_stream_up() -> None:
    scene = Scene().open()
    assert [record.condition.value for record in scene.records(VenueChanged)] == ["reached"]


def test_a_new_order_does_not_overtake_one_that_waits_to_be_sent() -> None:
    scene = Scene().open()
    sent = 0
    while scene.ask(frame(intent(sent + 1), terms(scene.now_ns))) and (calls := scene.calls(SubmitOrder)):
        sent += 1
        scene.answer(calls[-1], OrderAccepted(seen(sent, state=OrderState.CANCELLED, word="canceled")))
    scene.now_ns += 500 * NS_PER_MS  # the quota of one order comes back, and no tick has used it
    scene.ask(frame(intent(sent + 2), terms(scene.now_ns)))
    assert scene.call(SubmitOrder).client_order_id == name_of(sent + 1)
    assert scene.order_state(sent + 2) is OrderState.RECEIVED


def test_an_altered_order_never_reaches_the_adapter() -> None:
    scene = Scene().open()
    request = scene.accept()
    assert write_frame(request.signal) == frame(given=terms(scene.now_ns))
