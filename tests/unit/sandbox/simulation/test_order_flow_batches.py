"""Batches of the order flow: one per period, chained by id, or one per update."""

from decimal import Decimal

from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import BatchCursor, IdSpace, OrderFlow

ABC = Instrument(symbol="ABC", base="A", quote="B", tick=Decimal("0.1"), lot=Decimal(1), price=Decimal(100))


PERIOD_NS = 100


def _flow() -> OrderFlow:
    return OrderFlow([ABC], 3, IdSpace.VENUE_WIDE)


def test_there_is_one_batch_per_period_and_only_after_an_update() -> None:
    flow = _flow()
    cursor = BatchCursor("ABC", flow.last_id("ABC"), PERIOD_NS, 50)
    flow.step("ABC", 10)
    assert cursor.next_batch(flow, 49) is None
    assert cursor.next_batch(flow, 50) is not None
    assert cursor.next_batch(flow, 150) is None
    flow.step("ABC", 160)
    assert cursor.next_batch(flow, 249) is None
    assert cursor.next_batch(flow, 250) is not None


def test_consecutive_batches_chain_by_id() -> None:
    flow = _flow()
    first_id = flow.last_id("ABC")
    cursor, ends = BatchCursor("ABC", first_id, PERIOD_NS, 0), []
    for at_ns in range(0, 500, 20):
        flow.step("ABC", at_ns)
        if batch := cursor.next_batch(flow, at_ns):
            ends.append((batch.prev_id, batch.last_id))
    assert [prev_id for prev_id, _ in ends] == [first_id, *(last for _, last in ends[:-1])]


def test_after_a_stall_there_is_one_batch_and_the_schedule_is_kept() -> None:
    flow = _flow()
    cursor = BatchCursor("ABC", flow.last_id("ABC"), PERIOD_NS, 50)
    flow.step("ABC", 0)
    assert cursor.next_batch(flow, 1_020) is not None
    flow.step("ABC", 1_030)
    assert cursor.next_batch(flow, 1_049) is None
    assert cursor.next_batch(flow, 1_050) is not None


def test_an_unconflated_stream_has_one_batch_per_update() -> None:
    flow = _flow()
    cursor = BatchCursor("ABC", flow.last_id("ABC"), 0, 0)
    updates = [flow.step("ABC", at_ns) for at_ns in range(5)]
    batches = cursor.unconflated_batches(flow)
    assert [(one.first_id, one.last_id) for one in batches] == [(update.id, update.id) for update in updates]
    assert cursor.unconflated_batches(flow) == []
