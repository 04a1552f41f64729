"""State and event streams over real sockets: late subscribers, restarts, detected losses."""

from collections.abc import Iterator
from itertools import islice

import pytest

from components.contracts.orders import VenueConnectivity, VenueConnectivityChanged
from components.contracts.streams import HEALTH, ORDERS
from components.contracts.values import StreamOffset, Venue
from components.runtime.bus.bus import follow
from components.runtime.bus.codec import encode
from tests.support.bus_harness import (
    BusEndpoint,
    BusHarness,
    PollingThread,
    StoredRecord,
    bus_harness,
    health_message,
    publish_health,
)

pytestmark = pytest.mark.integration
JOURNAL = "j" * 32


@pytest.fixture
def buses() -> Iterator[BusHarness]:
    with bus_harness() as opened:
        yield opened


def open_publisher(buses: BusHarness, *, last: int = 0) -> BusEndpoint:
    return buses.open("risk", publishes=(HEALTH,), state=lambda _: (health_message(last),))


class Reader:
    """Execution, reduced to the publication of its journal."""

    def __init__(self, buses: BusHarness, *, journal_id: str = JOURNAL) -> None:
        self.buses, self.journal_id, self.kept = buses, journal_id, list[StoredRecord]()
        self.start()

    def start(self) -> None:
        self.endpoint = self.buses.open(
            "execution",
            journal_stream=ORDERS,
            journal_id=self.journal_id,
            last_sequence=len(self.kept),
            records=lambda first: iter(self.kept[first - 1 :]),
        )

    def restart(self, *, unpublished: int = 0) -> None:
        self.buses.close(self.endpoint)
        self.append(unpublished)
        self.start()

    def append(self, count: int) -> None:
        for _ in range(count):
            number = len(self.kept) + 1
            record = VenueConnectivityChanged(Venue("alpaca"), VenueConnectivity.HEALTHY, "x" * 100, number)
            self.kept.append(StoredRecord(number, encode(record)))

    def publish_event(self, count: int) -> None:
        self.append(count)
        for kept in self.kept[-count:]:
            self.endpoint.bus.publish_record(kept.sequence, kept.payload)


def test_a_late_joiner_gets_the_state_and_then_every_message(buses: BusHarness) -> None:
    risk = open_publisher(buses, last=7)
    publish_health(risk, 7)
    signals = buses.open("signals", subscribes={HEALTH: None})
    buses.poll_until(signals.synced_offsets)
    publish_health(risk, 3, first=8)
    buses.poll_until(lambda: len(signals.sequences()) == 3)
    assert signals.all(type(signals.inbounds[0]))[0].snapshot == (health_message(7),)
    assert [place.sequence for place in signals.synced_offsets()] == [7]
    assert signals.sequences() == [8, 9, 10]
    assert "gaps" not in signals.counts(HEALTH)


def test_a_subscriber_that_was_there_first_syncs_when_the_publisher_starts(buses: BusHarness) -> None:
    signals = buses.open("signals", subscribes={HEALTH: None})
    signals.poll()
    risk = open_publisher(buses)
    buses.poll_until(signals.synced_offsets)
    publish_health(risk, 2)
    buses.poll_until(lambda: signals.sequences() == [1, 2])


def test_everything_published_during_the_sync_is_received_or_in_the_snapshot(buses: BusHarness) -> None:
    published = 0
    risk = buses.open("risk", publishes=(HEALTH,), state=lambda _: (health_message(published),))
    signals = buses.open("signals", subscribes={HEALTH: None})

    def publish_and_poll() -> bool:
        nonlocal published
        published += 1
        risk.bus.publish(HEALTH, health_message(published))
        return len(signals.sequences()) > 50

    buses.poll_until(publish_and_poll)
    (place,) = signals.synced_offsets()
    assert signals.inbounds[0].snapshot == (health_message(place.sequence),)  # type: ignore[union-attr]
    assert signals.sequences() == list(range(place.sequence + 1, place.sequence + 1 + len(signals.sequences())))
    assert signals.counts(HEALTH).keys() <= {"received", "received_bytes"}


def test_a_restarted_publisher_is_lost_and_synced_again_without_a_gap(buses: BusHarness) -> None:
    risk = open_publisher(buses)
    signals = buses.open("signals", subscribes={HEALTH: None})
    buses.poll_until(signals.synced_offsets)
    buses.close(risk)
    again = open_publisher(buses)
    publish_health(again, 4)
    buses.poll_until(lambda: len(signals.synced_offsets()) == 2)
    assert signals.lost() == [(0, "new epoch")]
    assert signals.counts(HEALTH)["producer_restarts"] == 1
    assert "gaps" not in signals.counts(HEALTH)


def test_an_overflow_is_detected_counted_and_recovered(buses: BusHarness) -> None:
    risk = open_publisher(buses)
    signals = buses.open("signals", subscribes={HEALTH: None})
    buses.poll_until(signals.synced_offsets)
    for number in range(30_000):
        risk.bus.publish(HEALTH, health_message(number))
    buses.poll_until(lambda: len(signals.synced_offsets()) == 2, heartbeat_from=risk)
    ((missing, reason),) = signals.lost()
    assert (missing > 0, reason) == (True, "gap")
    assert missing <= signals.counts(HEALTH)["missing"] < 30_000
    publish_health(risk, 1)
    buses.poll_until(lambda: signals.sequences()[-1] == 30_001)


def test_a_publisher_that_stops_sending_is_lost(buses: BusHarness) -> None:
    risk = open_publisher(buses)
    signals = buses.open("signals", subscribes={HEALTH: None})
    buses.poll_until(signals.synced_offsets)
    buses.close(risk)
    buses.poll_until(signals.lost, within_s=HEALTH.heartbeat_timeout_ms / 1000 + 2)
    assert signals.lost() == [(0, "heartbeat timeout")]


def test_events_are_replayed_from_the_first_record_and_then_live(buses: BusHarness) -> None:
    execution = Reader(buses)
    execution.append(5_000)
    execution.restart()
    risk = buses.open("risk", subscribes={ORDERS: StreamOffset("orders", "", 0)})
    buses.poll_until(lambda: len(risk.sequences()) >= 1_000)
    execution.publish_event(10)
    buses.poll_until(risk.synced_offsets)
    execution.publish_event(10)
    buses.poll_until(lambda: len(risk.sequences()) == 5_020)
    assert risk.sequences() == list(range(1, 5_021))
    assert risk.lost() == []
    assert risk.counts(ORDERS).keys() <= {"received", "received_bytes"}


def test_events_continue_across_a_restart_of_their_publisher(buses: BusHarness) -> None:
    execution = Reader(buses)
    risk = buses.open("risk", subscribes={ORDERS: StreamOffset("orders", JOURNAL, 0)})
    execution.publish_event(3)
    buses.poll_until(lambda: len(risk.sequences()) == 3)
    execution.restart(unpublished=4)
    execution.publish_event(2)
    buses.poll_until(lambda: len(risk.sequences()) == 9)
    assert risk.sequences() == list(range(1, 10))
    assert "gaps" not in risk.counts(ORDERS)


def test_a_restarted_subscriber_of_events_misses_and_duplicates_nothing(buses: BusHarness) -> None:
    execution = Reader(buses)
    risk = buses.open("risk", subscribes={ORDERS: StreamOffset("orders", "", 0)})
    execution.publish_event(3)
    buses.poll_until(lambda: len(risk.sequences()) == 3)
    place = risk.bus.offsets()[0]
    buses.close(risk)
    execution.publish_event(3)
    again = buses.open("risk", subscribes={ORDERS: place})
    buses.poll_until(lambda: len(again.sequences()) == 3)
    assert again.sequences() == [4, 5, 6]


def test_another_journal_than_the_expected_one_is_reported_and_never_delivered(buses: BusHarness) -> None:
    execution = Reader(buses, journal_id="k" * 32)
    risk = buses.open("risk", subscribes={ORDERS: StreamOffset("orders", JOURNAL, 0)})
    buses.poll_until(risk.lost)
    execution.publish_event(3)
    buses.poll_until(lambda: risk.counts(ORDERS)["received"] >= 4)
    assert risk.sequences() == []
    assert risk.lost()[0] == (0, "another journal")


def test_events_that_overflow_are_replayed_record_by_record(buses: BusHarness) -> None:
    execution = Reader(buses)
    risk = buses.open("risk", subscribes={ORDERS: StreamOffset("orders", "", 0)})
    buses.poll_until(risk.synced_offsets)
    execution.publish_event(40_000)
    buses.poll_until(lambda: len(risk.sequences()) == 40_000, within_s=20, heartbeat_from=execution.endpoint)
    assert risk.sequences() == list(range(1, 40_001))
    assert risk.counts(ORDERS)["gaps"] >= 1


def test_a_subscriber_reports_its_progress_to_the_publisher(buses: BusHarness) -> None:
    risk = open_publisher(buses)
    signals = buses.open("signals", subscribes={HEALTH: None})
    buses.poll_until(signals.synced_offsets)
    publish_health(risk, 5)
    signals.bus.publish_heartbeats()

    def behind() -> list[str]:
        exposition = risk.metrics.exposition().decode().splitlines()
        return [one for one in exposition if one.startswith("xtrader_bus_subscriber_lag_messages{")]

    buses.poll_until(behind)
    assert behind() == ['xtrader_bus_subscriber_lag_messages{stream="health",subscriber="signals"} 5.0']


def test_a_command_follows_a_stream_from_a_record_on(buses: BusHarness) -> None:
    execution = Reader(buses)
    execution.publish_event(5)
    with PollingThread(execution.endpoint):
        received = list(
            islice(follow(buses.run_folder, ORDERS, StreamOffset("orders", "", 2), idle_timeout_ms=10_000), 3)
        )
    assert [one.header.sequence for one in received] == [3, 4, 5]
