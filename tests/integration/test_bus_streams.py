"""State and event streams over real sockets: late joiners, restarts, losses that are seen."""

from collections.abc import Iterator

import pytest

from components.contracts.orders import VenueChanged, VenueCondition
from components.contracts.topics import HEALTH, ORDERS
from components.contracts.values import Place, Venue
from components.runtime.bus import tail
from components.runtime.codec import encode
from tests.support.buses import Kept, Party, Ring, Turning, beat, ring, say

pytestmark = pytest.mark.integration
JOURNAL = "j" * 32


@pytest.fixture
def parties() -> Iterator[Ring]:
    with ring() as opened:
        yield opened


def a_speaker(parties: Ring, *, last: int = 0) -> Party:
    return parties.open("risk", says=(HEALTH,), state=lambda _: (beat(last),))


class Reader:
    """Execution, as far as its journal is read aloud."""

    def __init__(self, parties: Ring, *, journal_id: str = JOURNAL) -> None:
        self.parties, self.journal_id, self.kept = parties, journal_id, list[Kept]()
        self.start()

    def start(self) -> None:
        self.party = self.parties.open(
            "execution",
            record=ORDERS,
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
            record = VenueChanged(Venue("alpaca"), VenueCondition.REACHED, "x" * 100, number)
            self.kept.append(Kept(number, encode(record)))

    def say(self, count: int) -> None:
        self.append(count)
        for kept in self.kept[-count:]:
            self.party.bus.publish_record(kept.sequence, kept.payload)


def test_a_late_joiner_gets_the_state_and_then_every_message(parties: Ring) -> None:
    risk = a_speaker(parties, last=7)
    say(risk, 7)
    signals = parties.open("signals", hears={HEALTH: None})
    parties.until(signals.joined)
    say(risk, 3, first=8)
    parties.until(lambda: len(signals.heard()) == 3)
    assert signals.all(type(signals.got[0]))[0].messages == (beat(7),)
    assert [place.sequence for place in signals.joined()] == [7]
    assert signals.heard() == [8, 9, 10]
    assert "gaps" not in signals.counts(HEALTH)


def test_a_hearer_that_was_there_first_joins_when_the_speaker_comes(parties: Ring) -> None:
    signals = parties.open("signals", hears={HEALTH: None})
    signals.turn()
    risk = a_speaker(parties)
    parties.until(signals.joined)
    say(risk, 2)
    parties.until(lambda: signals.heard() == [1, 2])


def test_everything_said_while_joining_is_heard_or_in_the_state(parties: Ring) -> None:
    said = 0
    risk = parties.open("risk", says=(HEALTH,), state=lambda _: (beat(said),))
    signals = parties.open("signals", hears={HEALTH: None})

    def speaks_on() -> bool:
        nonlocal said
        said += 1
        risk.bus.publish(HEALTH, beat(said))
        return len(signals.heard()) > 50

    parties.until(speaks_on)
    (place,) = signals.joined()
    assert signals.got[0].messages == (beat(place.sequence),)  # type: ignore[union-attr]
    assert signals.heard() == list(range(place.sequence + 1, place.sequence + 1 + len(signals.heard())))
    assert signals.counts(HEALTH).keys() <= {"received", "received_bytes"}


def test_a_restarted_speaker_is_lost_and_joined_again_and_is_no_gap(parties: Ring) -> None:
    risk = a_speaker(parties)
    signals = parties.open("signals", hears={HEALTH: None})
    parties.until(signals.joined)
    parties.close(risk)
    again = a_speaker(parties)
    say(again, 4)
    parties.until(lambda: len(signals.joined()) == 2)
    assert signals.lost() == [(0, "new epoch")]
    assert signals.counts(HEALTH)["restarts"] == 1
    assert "gaps" not in signals.counts(HEALTH)


def test_what_overflows_is_seen_counted_and_healed(parties: Ring) -> None:
    risk = a_speaker(parties)
    signals = parties.open("signals", hears={HEALTH: None})
    parties.until(signals.joined)
    for number in range(30_000):
        risk.bus.publish(HEALTH, beat(number))
    parties.until(lambda: len(signals.joined()) == 2, beating=risk)
    ((missing, reason),) = signals.lost()
    assert (missing > 0, reason) == (True, "gap")
    assert missing <= signals.counts(HEALTH)["missing"] < 30_000
    say(risk, 1)
    parties.until(lambda: signals.heard()[-1] == 30_001)


def test_a_speaker_that_stops_saying_anything_is_lost(parties: Ring) -> None:
    risk = a_speaker(parties)
    signals = parties.open("signals", hears={HEALTH: None})
    parties.until(signals.joined)
    parties.close(risk)
    parties.until(signals.lost, within_s=HEALTH.silence_ms_max / 1000 + 2)
    assert signals.lost() == [(0, "silence")]


def test_events_are_replayed_from_the_first_record_and_then_live(parties: Ring) -> None:
    execution = Reader(parties)
    execution.append(5_000)
    execution.restart()
    risk = parties.open("risk", hears={ORDERS: Place("orders", "", 0)})
    parties.until(lambda: len(risk.heard()) >= 1_000)
    execution.say(10)
    parties.until(risk.joined)
    execution.say(10)
    parties.until(lambda: len(risk.heard()) == 5_020)
    assert risk.heard() == list(range(1, 5_021))
    assert risk.lost() == []
    assert risk.counts(ORDERS).keys() <= {"received", "received_bytes"}


def test_events_go_on_across_a_restart_of_their_speaker(parties: Ring) -> None:
    execution = Reader(parties)
    risk = parties.open("risk", hears={ORDERS: Place("orders", JOURNAL, 0)})
    execution.say(3)
    parties.until(lambda: len(risk.heard()) == 3)
    execution.restart(unheard=4)
    execution.say(2)
    parties.until(lambda: len(risk.heard()) == 9)
    assert risk.heard() == list(range(1, 10))
    assert "gaps" not in risk.counts(ORDERS)


def test_a_hearer_of_events_that_restarts_misses_and_repeats_nothing(parties: Ring) -> None:
    execution = Reader(parties)
    risk = parties.open("risk", hears={ORDERS: Place("orders", "", 0)})
    execution.say(3)
    parties.until(lambda: len(risk.heard()) == 3)
    place = risk.bus.places()[0]
    parties.close(risk)
    execution.say(3)
    again = parties.open("risk", hears={ORDERS: place})
    parties.until(lambda: len(again.heard()) == 3)
    assert again.heard() == [4, 5, 6]


def test_another_journal_than_the_one_expected_is_told_and_never_heard(parties: Ring) -> None:
    execution = Reader(parties, journal_id="k" * 32)
    risk = parties.open("risk", hears={ORDERS: Place("orders", JOURNAL, 0)})
    parties.until(risk.lost)
    execution.say(3)
    parties.until(lambda: risk.counts(ORDERS)["received"] >= 4)
    assert risk.heard() == []
    assert risk.lost()[0] == (0, "another journal")


def test_events_that_overflow_are_replayed_record_by_record(parties: Ring) -> None:
    execution = Reader(parties)
    risk = parties.open("risk", hears={ORDERS: Place("orders", "", 0)})
    parties.until(risk.joined)
    execution.say(40_000)
    parties.until(lambda: len(risk.heard()) == 40_000, within_s=20, beating=execution.party)
    assert risk.heard() == list(range(1, 40_001))
    assert risk.counts(ORDERS)["gaps"] >= 1


def test_a_hearer_tells_its_speaker_how_far_it_has_come(parties: Ring) -> None:
    risk = a_speaker(parties)
    signals = parties.open("signals", hears={HEALTH: None})
    parties.until(signals.joined)
    say(risk, 5)
    signals.bus.heartbeat()

    def behind() -> list[str]:
        exposition = risk.metrics.exposition().decode().splitlines()
        return [one for one in exposition if one.startswith("xtrader_bus_subscriber_lag_messages{")]

    parties.until(behind)
    assert behind() == ['xtrader_bus_subscriber_lag_messages{stream="health",subscriber="signals"} 5.0']


def test_a_verb_follows_a_stream_from_a_record_on(parties: Ring) -> None:
    execution = Reader(parties)
    execution.say(5)
    with Turning(execution.party):
        heard = list(tail(parties.run, ORDERS, Place("orders", "", 2), quiet_ms_max=300))
    assert [one.header.sequence for one in heard] == [3, 4, 5]
