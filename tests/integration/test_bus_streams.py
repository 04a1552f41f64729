"""State and event streams over real sockets: late joiners, restarts, losses that are seen."""

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
def parties() -> Iterator[BusHarness]:
    with bus_harness() as opened:
        yield opened


def a_speaker(parties: BusHarness, *, last: int = 0) -> BusEndpoint:
    return parties.open("risk", publishes=(HEALTH,), state=lambda _: (health_message(last),))


class Reader:
    """Execution, as far as its journal is read aloud."""

    def __init__(self, parties: BusHarness, *, journal_id: str = JOURNAL) -> None:
        self.parties, self.journal_id, self.kept = parties, journal_id, list[StoredRecord]()
        self.start()

    def start(self) -> None:
        self.party = self.parties.open(
            "execution",
            journal_stream=ORDERS,
            journal_id=self.journal_id,
            last_sequence=len(self.kept),
            records=lambda first: iter(self.kept[first - 1 :]),
        )

    def restart(self, *, unheard: int = 0) -> None:
        self.parties.close(self.party)
        self.append(unheard)
        self.start()

    def append(self, count: int) -> None:
        for _ in range(count):
            number = len(self.kept) + 1
            record = VenueConnectivityChanged(Venue("alpaca"), VenueConnectivity.HEALTHY, "x" * 100, number)
            self.kept.append(StoredRecord(number, encode(record)))

    def say(self, count: int) -> None:
        self.append(count)
        for kept in self.kept[-count:]:
            self.party.bus.publish_record(kept.sequence, kept.payload)


def test_a_late_joiner_gets_the_state_and_then_every_message(parties: BusHarness) -> None:
    risk = a_speaker(parties, last=7)
    publish_health(risk, 7)
    signals = parties.open("signals", subscribes={HEALTH: None})
    parties.poll_until(signals.synced_offsets)
    publish_health(risk, 3, first=8)
    parties.poll_until(lambda: len(signals.sequences()) == 3)
    assert signals.all(type(signals.inbounds[0]))[0].snapshot == (health_message(7),)
    assert [place.sequence for place in signals.synced_offsets()] == [7]
    assert signals.sequences() == [8, 9, 10]
    assert "gaps" not in signals.counts(HEALTH)


def test_a_hearer_that_was_there_first_joins_when_the_speaker_comes(parties: BusHarness) -> None:
    signals = parties.open("signals", subscribes={HEALTH: None})
    signals.poll()
    risk = a_speaker(parties)
    parties.poll_until(signals.synced_offsets)
    publish_health(risk, 2)
    parties.poll_until(lambda: signals.sequences() == [1, 2])


def test_everything_said_while_joining_is_heard_or_in_the_state(parties: BusHarness) -> None:
    said = 0
    risk = parties.open("risk", publishes=(HEALTH,), state=lambda _: (health_message(said),))
    signals = parties.open("signals", subscribes={HEALTH: None})

    def speaks_on() -> bool:
        nonlocal said
        said += 1
        risk.bus.publish(HEALTH, health_message(said))
        return len(signals.sequences()) > 50

    parties.poll_until(speaks_on)
    (place,) = signals.synced_offsets()
    assert signals.inbounds[0].snapshot == (health_message(place.sequence),)  # type: ignore[union-attr]
    assert signals.sequences() == list(range(place.sequence + 1, place.sequence + 1 + len(signals.sequences())))
    assert signals.counts(HEALTH).keys() <= {"received", "received_bytes"}


def test_a_restarted_speaker_is_lost_and_joined_again_and_is_no_gap(parties: BusHarness) -> None:
    risk = a_speaker(parties)
    signals = parties.open("signals", subscribes={HEALTH: None})
    parties.poll_until(signals.synced_offsets)
    parties.close(risk)
    again = a_speaker(parties)
    publish_health(again, 4)
    parties.poll_until(lambda: len(signals.synced_offsets()) == 2)
    assert signals.lost() == [(0, "new epoch")]
    assert signals.counts(HEALTH)["producer_restarts"] == 1
    assert "gaps" not in signals.counts(HEALTH)


def test_what_overflows_is_seen_counted_and_healed(parties: BusHarness) -> None:
    risk = a_speaker(parties)
    signals = parties.open("signals", subscribes={HEALTH: None})
    parties.poll_until(signals.synced_offsets)
    for number in range(30_000):
        risk.bus.publish(HEALTH, health_message(number))
    parties.poll_until(lambda: len(signals.synced_offsets()) == 2, heartbeat_from=risk)
    ((missing, reason),) = signals.lost()
    assert (missing > 0, reason) == (True, "gap")
    assert missing <= signals.counts(HEALTH)["missing"] < 30_000
    publish_health(risk, 1)
    parties.poll_until(lambda: signals.sequences()[-1] == 30_001)


def test_a_speaker_that_stops_saying_anything_is_lost(parties: BusHarness) -> None:
    risk = a_speaker(parties)
    signals = parties.open("signals", subscribes={HEALTH: None})
    parties.poll_until(signals.synced_offsets)
    parties.close(risk)
    parties.poll_until(signals.lost, within_s=HEALTH.heartbeat_timeout_ms / 1000 + 2)
    assert signals.lost() == [(0, "heartbeat timeout")]


def test_events_are_replayed_from_the_first_record_and_then_live(parties: BusHarness) -> None:
    execution = Reader(parties)
    execution.append(5_000)
    execution.restart()
    risk = parties.open("risk", subscribes={ORDERS: StreamOffset("orders", "", 0)})
    parties.poll_until(lambda: len(risk.sequences()) >= 1_000)
    execution.say(10)
    parties.poll_until(risk.synced_offsets)
    execution.say(10)
    parties.poll_until(lambda: len(risk.sequences()) == 5_020)
    assert risk.sequences() == list(range(1, 5_021))
    assert risk.lost() == []
    assert risk.counts(ORDERS).keys() <= {"received", "received_bytes"}


def test_events_go_on_across_a_restart_of_their_speaker(parties: BusHarness) -> None:
    execution = Reader(parties)
    risk = parties.open("risk", subscribes={ORDERS: StreamOffset("orders", JOURNAL, 0)})
    execution.say(3)
    parties.poll_until(lambda: len(risk.sequences()) == 3)
    execution.restart(unheard=4)
    execution.say(2)
    parties.poll_until(lambda: len(risk.sequences()) == 9)
    assert risk.sequences() == list(range(1, 10))
    assert "gaps" not in risk.counts(ORDERS)


def test_a_hearer_of_events_that_restarts_misses_and_repeats_nothing(parties: BusHarness) -> None:
    execution = Reader(parties)
    risk = parties.open("risk", subscribes={ORDERS: StreamOffset("orders", "", 0)})
    execution.say(3)
    parties.poll_until(lambda: len(risk.sequences()) == 3)
    place = risk.bus.offsets()[0]
    parties.close(risk)
    execution.say(3)
    again = parties.open("risk", subscribes={ORDERS: place})
    parties.poll_until(lambda: len(again.sequences()) == 3)
    assert again.sequences() == [4, 5, 6]


def test_another_journal_than_the_one_expected_is_told_and_never_heard(parties: BusHarness) -> None:
    execution = Reader(parties, journal_id="k" * 32)
    risk = parties.open("risk", subscribes={ORDERS: StreamOffset("orders", JOURNAL, 0)})
    parties.poll_until(risk.lost)
    execution.say(3)
    parties.poll_until(lambda: risk.counts(ORDERS)["received"] >= 4)
    assert risk.sequences() == []
    assert risk.lost()[0] == (0, "another journal")


def test_events_that_overflow_are_replayed_record_by_record(parties: BusHarness) -> None:
    execution = Reader(parties)
    risk = parties.open("risk", subscribes={ORDERS: StreamOffset("orders", "", 0)})
    parties.poll_until(risk.synced_offsets)
    execution.say(40_000)
    parties.poll_until(lambda: len(risk.sequences()) == 40_000, within_s=20, heartbeat_from=execution.party)
    assert risk.sequences() == list(range(1, 40_001))
    assert risk.counts(ORDERS)["gaps"] >= 1


def test_a_hearer_tells_its_speaker_how_far_it_has_come(parties: BusHarness) -> None:
    risk = a_speaker(parties)
    signals = parties.open("signals", subscribes={HEALTH: None})
    parties.poll_until(signals.synced_offsets)
    publish_health(risk, 5)
    signals.bus.publish_heartbeats()

    def behind() -> list[str]:
        exposition = risk.metrics.exposition().decode().splitlines()
        return [one for one in exposition if one.startswith("xtrader_bus_subscriber_lag_messages{")]

    parties.poll_until(behind)
    assert behind() == ['xtrader_bus_subscriber_lag_messages{stream="health",subscriber="signals"} 5.0']


def test_a_verb_follows_a_stream_from_a_record_on(parties: BusHarness) -> None:
    execution = Reader(parties)
    execution.say(5)
    with PollingThread(execution.party):
        heard = list(
            islice(follow(parties.run_folder, ORDERS, StreamOffset("orders", "", 2), idle_timeout_ms=10_000), 3)
        )
    assert [one.header.sequence for one in heard] == [3, 4, 5]
