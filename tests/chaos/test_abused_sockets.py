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
from components.contracts.commands import Accepted, Rejected, RejectReason, Withdraw
from components.contracts.decisions import AccountQuery, AccountSnapshot, ApprovalRequest, MalformedRequest
from components.contracts.protocol import RecoveryBatch, ReplayRequest, SnapshotRequest
from components.contracts.streams import COMMANDS, HEALTH, RISK_REQUESTS
from components.contracts.values import CommandId, IntentId
from components.runtime.bus.bus import follow
from components.runtime.bus.codec import decode_recovery_reply, encode, reply_decoder
from components.runtime.bus.transport import publisher_path
from components.runtime.bus.zeromq import FRAME_BYTES_MAX
from components.runtime.config.secrets import read_seal_key
from components.runtime.config.settings import load_settings
from components.runtime.paths import Paths
from tests.support.approvals import approval_terms
from tests.support.component_process import counter_by_label
from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.malformed_frames import (
    HEADER,
    INVALID_BYTE_STREAMS,
    MALFORMED,
    RawClient,
    mutations,
    raw_client,
    raw_connection,
)
from tests.support.running_system import RunningSystem, running_system
from tests.support.sample_messages import INTENT

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(120)]

COMPONENTS = ("market_data", "signals", "risk", "execution")
READY_S_MAX = 60
FILL_S_MAX = 20
BEATS_MS_MAX = 5_000
MUTATIONS = 200
WELL = b"well asked"
UNPROVEN = frozenset({RejectReason.MALFORMED, RejectReason.VERSION, RejectReason.FORGED})
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

    def ask(self, client: RawClient, key: SealKey) -> list[Any]:
        """Ask well, over a hop of a name of its own; give what was answered to other questions before."""
        client.send([WELL, b"", self.topic, HEADER, self.request(key)])
        before: list[Any] = []
        while True:
            hops, message = client.receive()
            answer = self.understand(message)
            if hops == [WELL]:
                assert isinstance(answer, self.answers), answer
                return before
            before.append(answer)


def withdrawal(key: SealKey) -> bytes:
    """Ask for what changes nothing: that an intent which does not exist is not sent."""
    control = Withdraw(CommandId(f"stranger-{next(NUMBERS)}"), IntentId("nobody's-0"), "a drill")
    return seal_control(control, approval_terms(), key)


def side(component: str, request: object) -> Door:
    return Door(component, "side", b"side", lambda _: encode(request), RecoveryBatch, decode_recovery_reply)


DOORS = (
    Door("execution", "commands", b"commands", withdrawal, Accepted, reply_decoder(COMMANDS)),
    Door(
        "risk", "judge", b"judge", lambda _: encode(AccountQuery("a-1")), AccountSnapshot, reply_decoder(RISK_REQUESTS)
    ),
    side("market_data", SnapshotRequest("market")),
    side("signals", SnapshotRequest("health")),
    side("risk", ReplayRequest("decisions", 1)),
    side("execution", ReplayRequest("orders", 1)),
)
each_door = pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.component}.{door.duty}")


@dataclass(frozen=True)
class System:
    """Everything that `up` runs, while it trades."""

    up: RunningSystem
    places: Paths
    key: SealKey
    pids: dict[str, int]

    def path(self, door: Door) -> Path:
        """Give where a door is."""
        return self.places.socket(f"{door.component}.{door.duty}")

    def knock(self, door: Door) -> AbstractContextManager[RawClient]:
        """Connect to a door as somebody unknown."""
        return raw_client(self.path(door))

    def refused(self, component: str) -> Counter[str]:
        """Give what a component counted: flaws of frames, and for sealed ones what their own door found."""
        found = counter_by_label(self.places, component, "bus_refused_frames", "flaw")
        if component == "execution":
            faults = counter_by_label(self.places, component, "frames_refused", "fault")
            found += Counter({fault: count for fault, count in faults.items() if fault in UNPROVEN})
        return found

    def pids_now(self) -> dict[str, int]:
        """Give who runs now."""
        return {name: (self.up.manifest(name) or {}).get("pid", 0) for name in COMPONENTS}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("x")) as up:
        for name in COMPONENTS:
            eventually(lambda name=name: up.is_restarted(name, killed=0), within_s=READY_S_MAX)  # type: ignore[misc]
        places = load_settings(environ=up.environment).paths
        made = System(up, places, SealKey(read_seal_key(places)), {})
        made.pids.update(made.pids_now())
        yield made


@each_door
def test_each_malformed_frame_is_counted_once_and_the_next_request_is_answered(system: System, door: Door) -> None:
    before = system.refused(door.component)
    with system.knock(door) as client:
        for name, (frames, _) in MALFORMED.items():
            client.send(frames(door.topic, door.request(system.key)))
            words = door.ask(client, system.key)
            assert len(words) == (not door.is_side), f"{name}: {words}"
            assert all(isinstance(word, Rejected | MalformedRequest) for word in words), f"{name}: {words}"
    assert system.refused(door.component) - before == Counter(flaw_at(door, name) for name in MALFORMED)


def flaw_at(door: Door, name: str) -> str:
    """Name the count of a malformed frame; a sealed message is looked into behind its own door only."""
    if door.topic == COMMANDS.name.encode():
        found = {"half a message": RejectReason.FORGED, "garbage for a message": RejectReason.VERSION}.get(name)
        if found is not None:
            return found.value
    return MALFORMED[name][1]


@each_door
def test_mutated_requests_are_answered_or_counted_and_end_nothing(system: System, door: Door) -> None:
    before = system.refused(door.component)
    body = encode(ApprovalRequest(INTENT)) if door.topic == b"judge" else door.request(system.key)
    with system.knock(door) as client:
        for frames in mutations([b"", door.topic, HEADER, body], MUTATIONS, seed=DOORS.index(door)):
            client.send(frames)
        answers = len(door.ask(client, system.key))
    refused = (system.refused(door.component) - before).total()
    assert answers == MUTATIONS - refused * door.is_side
    assert refused > MUTATIONS / 4


@each_door
def test_what_is_not_zeromq_or_too_large_for_it_never_arrives(system: System, door: Door) -> None:
    before = system.refused(door.component)
    with ExitStack() as held, system.knock(door) as large, system.knock(door) as client:
        for said in INVALID_BYTE_STREAMS.values():
            held.enter_context(raw_connection(system.path(door), said))
        large.send([b"", door.topic, HEADER, bytes(FRAME_BYTES_MAX + 1)])
        assert door.ask(client, system.key) == []
    # Before ZeroMQ had greetings any bytes were frames, and it still takes them for such.
    assert set(system.refused(door.component) - before) <= {"shape"}


def test_what_is_said_to_those_who_only_speak_is_not_heard(system: System) -> None:
    with ExitStack() as held:
        for name in COMPONENTS:
            path = publisher_path(system.places.run, name)
            for said in INVALID_BYTE_STREAMS.values():
                held.enter_context(raw_connection(path, said))
            speaker = held.enter_context(raw_client(path, zmq.XSUB))
            for frames in ([b""], [b"\x01" * 100_000], [b"\x02health"], [b"market", HEADER, b"x"], [b"x"] * 1_000):
                speaker.send(frames)
        beating: set[str] = set()
        for heard in follow(system.places.run, HEALTH, idle_timeout_ms=int(scaled(BEATS_MS_MAX))):
            beating.add(heard.header.producer)
            if beating == set(COMPONENTS):
                break
    assert beating == set(COMPONENTS)


def test_after_all_that_the_same_processes_trade_and_agree_with_the_venue(system: System) -> None:
    eventually(lambda: "first fill" in system.up.stderr_text(), within_s=FILL_S_MAX)
    assert system.pids_now() == system.pids
    result = system.up.stop()
    assert result["ok"], f"{result}\n{system.up.stderr_text()}"
    assert result["restarts"] == {}
