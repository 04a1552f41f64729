"""Whatever is sent to the sockets of a running system is refused and counted, and the next request is answered."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import zmq

from components.contracts.approval import SealKey, seal_control
from components.contracts.commands import Accepted, Fault, Refused, Withdraw
from components.contracts.decisions import Account, Judge, NotUnderstood, ShowAccount
from components.contracts.frames import Part, ReplayRequest, SnapshotRequest
from components.contracts.topics import COMMANDS, HEALTH, JUDGE
from components.contracts.values import CommandId, IntentId
from components.runtime.bus import tail
from components.runtime.codec import decode_side_reply, encode, reply_decoder_of
from components.runtime.config import load
from components.runtime.endpoints import publications
from components.runtime.places import Places
from components.runtime.secrets import read_seal
from components.runtime.zmq_bus import FRAME_BYTES_MAX
from tests.support.approvals import terms
from tests.support.components import counted
from tests.support.eventually import eventually
from tests.support.messages import INTENT
from tests.support.nonsense import HEADER, MALFORMED, NOT_ZEROMQ, Stranger, mutations, raw, stranger
from tests.support.running import Up, started

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(120)]

COMPONENTS = ("market_data", "signals", "risk", "execution")
READY_S_MAX = 60
FILL_S_MAX = 20
BEATS_MS_MAX = 5_000
MUTATIONS = 200
WELL = b"well asked"
UNPROVEN = frozenset({Fault.MALFORMED, Fault.VERSION, Fault.FORGED})
NUMBERS = count(1)


@dataclass(frozen=True)
class Door:
    """One socket on which a component is asked: how to ask it well, and what it answers then."""

    component: str
    duty: str
    topic: bytes
    request: Callable[[SealKey], bytes]
    answers: type
    understand: Callable[[bytes], Any]

    @property
    def is_side(self) -> bool:
        """Say whether nonsense is only counted here, not answered."""
        return self.duty == "side"

    def ask(self, client: Stranger, key: SealKey) -> list[Any]:
        """Ask well, over a hop of a name of its own; give what was answered to other questions before."""
        client.say([WELL, b"", self.topic, HEADER, self.request(key)])
        before: list[Any] = []
        while True:
            hops, message = client.hear()
            answer = self.understand(message)
            if hops == [WELL]:
                assert isinstance(answer, self.answers), answer
                return before
            before.append(answer)


def withdrawal(key: SealKey) -> bytes:
    """Ask for what changes nothing: that an intent which does not exist is not sent."""
    control = Withdraw(CommandId(f"stranger-{next(NUMBERS)}"), IntentId("nobody's-0"), "a drill")
    return seal_control(control, terms(), key)


def side(component: str, request: object) -> Door:
    return Door(component, "side", b"side", lambda _: encode(request), Part, decode_side_reply)


DOORS = (
    Door("execution", "commands", b"commands", withdrawal, Accepted, reply_decoder_of(COMMANDS)),
    Door("risk", "judge", b"judge", lambda _: encode(ShowAccount("a-1")), Account, reply_decoder_of(JUDGE)),
    side("market_data", SnapshotRequest("market")),
    side("signals", SnapshotRequest("health")),
    side("risk", ReplayRequest("decisions", 1)),
    side("execution", ReplayRequest("orders", 1)),
)
each_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.component}.{door.duty}")


@dataclass(frozen=True)
class System:
    """Everything that `up` runs, while it trades."""

    up: Up
    places: Places
    key: SealKey
    pids: dict[str, int]

    def path(self, door: Door) -> Path:
        """Give where a door is."""
        return self.places.socket(f"{door.component}.{door.duty}")

    def knock(self, door: Door) -> AbstractContextManager[Stranger]:
        """Connect to a door as somebody unknown."""
        return stranger(self.path(door))

    def refused(self, component: str) -> Counter[str]:
        """Give what a component counted: flaws of frames, and for sealed ones what their own door found."""
        found = counted(self.places, component, "bus_refused_frames", "flaw")
        if component == "execution":
            faults = counted(self.places, component, "frames_refused", "fault")
            found += Counter({fault: count for fault, count in faults.items() if fault in UNPROVEN})
        return found

    def pids_now(self) -> dict[str, int]:
        """Give who runs now."""
        return {name: (self.up.manifest(name) or {}).get("pid", 0) for name in COMPONENTS}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("x")) as up:
        for name in COMPONENTS:
            eventually(lambda name=name: up.is_back(name, killed=0), within_s=READY_S_MAX)  # type: ignore[misc]
        places = load(environ=up.environment).places
        made = System(up, places, SealKey(read_seal(places)), {})
        made.pids.update(made.pids_now())
        yield made


@each_door
def test_each_malformed_frame_is_counted_once_and_the_next_request_is_answered(system: System, door: Door) -> None:
    before = system.refused(door.component)
    with system.knock(door) as client:
        for name, (frames, _) in MALFORMED.items():
            client.say(frames(door.topic, door.request(system.key)))
            words = door.ask(client, system.key)
            assert len(words) == (not door.is_side), f"{name}: {words}"
            assert all(isinstance(word, Refused | NotUnderstood) for word in words), f"{name}: {words}"
    assert system.refused(door.component) - before == Counter(flaw_at(door, name) for name in MALFORMED)


def flaw_at(door: Door, name: str) -> str:
    """Name the count of a malformed frame; a sealed message is looked into behind its own door only."""
    if door.topic == COMMANDS.name.encode():
        found = {"half a message": Fault.FORGED, "garbage for a message": Fault.VERSION}.get(name)
        if found is not None:
            return found.value
    return MALFORMED[name][1]


@each_door
def test_mutated_requests_are_answered_or_counted_and_end_nothing(system: System, door: Door) -> None:
    before = system.refused(door.component)
    body = encode(Judge(INTENT)) if door.topic == b"judge" else door.request(system.key)
    with system.knock(door) as client:
        for frames in mutations([b"", door.topic, HEADER, body], MUTATIONS, seed=DOORS.index(door)):
            client.say(frames)
        answers = len(door.ask(client, system.key))
    refused = (system.refused(door.component) - before).total()
    assert answers == MUTATIONS - refused * door.is_side
    assert refused > MUTATIONS / 4


@each_door
def test_what_is_not_zeromq_or_too_large_for_it_never_arrives(system: System, door: Door) -> None:
    before = system.refused(door.component)
    with ExitStack() as held, system.knock(door) as large, system.knock(door) as client:
        for said in NOT_ZEROMQ.values():
            held.enter_context(raw(system.path(door), said))
        large.say([b"", door.topic, HEADER, bytes(FRAME_BYTES_MAX + 1)])
        assert door.ask(client, system.key) == []
    # Before ZeroMQ had greetings any bytes were frames, and it still takes them for such.
    assert set(system.refused(door.component) - before) <= {"shape"}


def test_what_is_said_to_those_who_only_speak_is_not_heard(system: System) -> None:
    with ExitStack() as held:
        for name in COMPONENTS:
            path = publications(system.places.run, name)
            for said in NOT_ZEROMQ.values():
                held.enter_context(raw(path, said))
            speaker = held.enter_context(stranger(path, zmq.XSUB))
            for frames in ([b""], [b"\x01" * 100_000], [b"\x02health"], [b"market", HEADER, b"x"], [b"x"] * 1_000):
                speaker.say(frames)
        beating: set[str] = set()
        for heard in tail(system.places.run, HEALTH, quiet_ms_max=BEATS_MS_MAX):
            beating.add(heard.header.producer)
            if beating == set(COMPONENTS):
                break
    assert beating == set(COMPONENTS)


def test_after_all_that_the_same_processes_trade_and_agree_with_the_venue(system: System) -> None:
    eventually(lambda: "first fill" in system.up.said(), within_s=FILL_S_MAX)
    assert system.pids_now() == system.pids
    result = system.up.stop()
    assert result["ok"], f"{result}\n{system.up.said()}"
    assert result["restarts"] == {}
