"""Claims about crashes: whatever point of the journal a restart begins from, no order is doubled and none is lost."""

from typing import Any

import pytest

from components.contracts.approval import write_frame
from components.contracts.orders import IntentReceived, Opening, OrderSending, OrderState, Reconciled, VenueCondition
from components.execution.core.state import ExecutionState
from components.execution.core.venue import (
    Fence,
    OrderAccepted,
    OrderFound,
    OrderMissing,
    QueryOrder,
    ReadVenue,
    StreamUp,
    SubmitOrder,
    VenueOrder,
)
from tests.unit.execution.scene import LIFE_MS, Scene, fill_event, filled_to, frame, position, read, row, seen, terms


def crashed(after: type[object]) -> Scene:
    """Trade one order to its fill, then begin again right after the first record of a kind."""
    scene = Scene().open()
    scene.answer(scene.accept(), OrderAccepted(seen()))
    scene.feed(fill_event(10, 10))
    place = next(number for number, record in enumerate(scene.journal, start=1) if isinstance(record, after))
    return scene.restart(records=place)


def live_through(scene: Scene, at_the_venue: VenueOrder | None) -> None:
    """Start again with a venue that has this order, or takes it when it is sent; let time pass until all is quiet."""
    scene.start()
    scene.feed(StreamUp())
    for _ in range(200):
        for call in list(scene.open_calls):
            orders = () if at_the_venue is None else (at_the_venue,)
            match call:
                case SubmitOrder():
                    assert at_the_venue is None
                    at_the_venue = filled_to(10)
                    scene.answer(call, OrderAccepted(at_the_venue))
                case QueryOrder():
                    scene.answer(call, OrderMissing() if at_the_venue is None else OrderFound(at_the_venue))
                case ReadVenue():
                    held = [position(10)] if at_the_venue is not None and at_the_venue.quantity == 10 else []
                    scene.answer(call, read(*orders, positions=held))
                case Fence():
                    fence: dict[str, Any] = {"quantity": call.quantity, "limit_price": call.limit_price}
                    at_the_venue = seen(state=OrderState.CANCELLED, word="canceled", **fence)
                    scene.answer(call, OrderAccepted(at_the_venue))
                case _:
                    raise AssertionError(call)
        scene.pass_ms(100)


def test_an_intent_that_was_received_but_not_sent_is_sent_once() -> None:
    scene = crashed(IntentReceived)
    live_through(scene, None)
    assert scene.order_state() is OrderState.FILLED
    assert len(scene.records(OrderSending)) == 1
    assert scene.state.positions == {"AAPL": 10}


def test_it_is_sent_only_after_the_account_is_reconciled() -> None:
    scene = crashed(IntentReceived)
    known = len(scene.journal)
    scene.start()
    assert not scene.calls(SubmitOrder)
    scene.feed(StreamUp())
    scene.tick()
    scene.answer(scene.call(ReadVenue), read())
    since = [type(record) for record in scene.journal[known:]]
    assert since.index(Reconciled) < since.index(OrderSending)
    assert scene.calls(SubmitOrder)


def test_what_is_sent_after_a_restart_is_proven_again_from_the_journal() -> None:
    scene = crashed(IntentReceived)
    sealed = scene.records(IntentReceived)[0].frame
    scene.start()
    scene.feed(StreamUp())
    scene.tick()
    scene.answer(scene.call(ReadVenue), read())
    assert write_frame(scene.call(SubmitOrder).signal) == sealed


def test_an_intent_whose_approval_ended_while_we_were_down_is_never_sent() -> None:
    scene = crashed(IntentReceived)
    scene.now_ns += LIFE_MS * 2_000_000
    live_through(scene, None)
    assert scene.order_state() is OrderState.NEVER_SENT
    assert not scene.calls(SubmitOrder)


@pytest.mark.parametrize("found", [seen(), filled_to(4), filled_to(10)])
def test_an_order_that_was_being_sent_is_asked_for_and_adopted(found: VenueOrder) -> None:
    scene = crashed(OrderSending).start()
    assert scene.order_state() is OrderState.UNKNOWN
    assert not scene.calls(SubmitOrder)
    scene.answer(scene.call(QueryOrder), OrderFound(found))
    assert scene.order_state() is found.state


def test_an_order_that_was_being_sent_and_never_arrived_is_sent_again_under_its_name() -> None:
    scene = crashed(OrderSending)
    live_through(scene, None)
    assert scene.order_state() is OrderState.FILLED
    assert scene.state.positions == {"AAPL": 10}


def test_an_order_that_was_being_sent_and_is_expired_is_fenced() -> None:
    scene = crashed(OrderSending)
    scene.now_ns += LIFE_MS * 2_000_000
    live_through(scene, None)
    assert scene.order_state() is OrderState.NEVER_LANDED
    assert scene.state.positions == {}


def test_nothing_is_accepted_while_an_older_outcome_is_unknown() -> None:
    scene = crashed(OrderSending).start()
    scene.feed(StreamUp())
    scene.tick()
    scene.answer(scene.call(ReadVenue), read())
    scene.ask(frame(given=terms(scene.now_ns)))
    assert scene.service.unmet(scene.now_ns) == ("1 older orders of unknown outcome",)


@pytest.mark.parametrize("landed", [None, filled_to(10)])
def test_from_every_record_of_the_journal_the_end_is_the_same(landed: VenueOrder | None) -> None:
    whole = Scene().open()
    whole.answer(whole.accept(), OrderAccepted(seen()))
    whole.feed(fill_event(10, 10))
    opened = next(n for n, record in enumerate(whole.journal, start=1) if isinstance(record, IntentReceived))
    sending = next(n for n, record in enumerate(whole.journal, start=1) if isinstance(record, OrderSending))
    for records in range(opened, len(whole.journal) + 1):
        if landed is None and records > sending:
            continue
        if landed is not None and records < sending:
            continue
        scene = whole.restart(records=records)
        live_through(scene, landed)
        assert scene.order_state() is OrderState.FILLED, records
        assert scene.state.positions == {"AAPL": 10}, records
        assert scene.service.unmet(scene.now_ns) == (), records


def test_replaying_the_journal_gives_the_state_that_wrote_it() -> None:
    scene = Scene().open()
    scene.answer(scene.accept(), OrderAccepted(seen()))
    scene.feed(fill_event(3, 3))
    replayed = ExecutionState()
    for record in scene.journal:
        replayed.apply(record)
    assert vars(replayed) == vars(scene.state)


def test_a_fill_gets_the_same_id_in_every_run() -> None:
    first, second = Scene().open(), Scene().open()
    for scene in (first, second):
        scene.work()
        scene.feed_reading(read(filled_to(4), fills=[row(4, 4)], positions=[position(4)]))
    assert first.journal[-2:] == second.journal[-2:]


def test_a_restart_does_not_count_a_fill_again() -> None:
    scene = Scene().open()
    scene.work()
    scene.feed(fill_event(4, 4))
    scene = scene.restart().start()
    scene.feed_reading(read(filled_to(4), fills=[row(4, 4)], positions=[position(4)]))
    scene.feed(fill_event(4, 4))
    assert scene.state.positions == {"AAPL": 4}


def test_a_restart_begins_with_the_venue_unreached() -> None:
    scene = Scene().open().restart().start()
    assert scene.state.condition is VenueCondition.LOST
    assert len(scene.records(Opening)) == 1
