"""Whatever is sent to the sockets of a running system is rejected and counted, and the next request is answered."""

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
HEARTBEATS_MS_MAX = 5_000
MUTATIONS = 200
VALID_HOP = b"valid request"
UNVERIFIED = frozenset({RejectReason.MALFORMED, RejectReason.VERSION, RejectReason.FORGED})
NUMBERS = count(1)


@dataclass(frozen=True)
class RequestSocket:
    """One socket that serves requests: a valid request for it, and the expected reply."""

    component: str
    name: str
    topic: bytes
    request: Callable[[SealKey], bytes]
    replies: type
    decode: Callable[[bytes], Any]

    @property
    def is_recovery(self) -> bool:
        """Return whether malformed requests are only counted here, not answered."""
        return self.name == "recovery"

    def request_and_drain(self, client: RawClient, key: SealKey) -> list[Any]:
        """Send a valid request over a hop of its own and return the replies to earlier requests."""
        client.send([VALID_HOP, b"", self.topic, HEADER, self.request(key)])
        before: list[Any] = []
        while True:
            hops, message = client.receive()
            reply = self.decode(message)
            if hops == [VALID_HOP]:
                assert isinstance(reply, self.replies), reply
                return before
            before.append(reply)


def withdrawal(key: SealKey) -> bytes:
    """Return a command that changes nothing: the withdrawal of an intent that does not exist."""
    control = Withdraw(CommandId(f"stranger-{next(NUMBERS)}"), IntentId("unknown-0"), "a drill")
    return seal_control(control, approval_terms(), key)


def recovery(component: str, request: object) -> RequestSocket:
    return RequestSocket(
        component, "recovery", b"recovery", lambda _: encode(request), RecoveryBatch, decode_recovery_reply
    )


SOCKETS = (
    RequestSocket("execution", "commands", b"commands", withdrawal, Accepted, reply_decoder(COMMANDS)),
    RequestSocket(
        "risk",
        "risk_requests",
        b"risk_requests",
        lambda _: encode(AccountQuery("a-1")),
        AccountSnapshot,
        reply_decoder(RISK_REQUESTS),
    ),
    recovery("market_data", SnapshotRequest("market")),
    recovery("signals", SnapshotRequest("health")),
    recovery("risk", ReplayRequest("decisions", 1)),
    recovery("execution", ReplayRequest("orders", 1)),
)
each_socket = pytest.mark.parametrize("socket", SOCKETS, ids=lambda socket: f"{socket.component}.{socket.name}")


@dataclass(frozen=True)
class System:
    """Everything that `up` runs, while it trades."""

    up: RunningSystem
    paths: Paths
    key: SealKey
    pids: dict[str, int]

    def path(self, socket: RequestSocket) -> Path:
        """Return the path of a socket."""
        return self.paths.socket(f"{socket.component}.{socket.name}")

    def connect(self, socket: RequestSocket) -> AbstractContextManager[RawClient]:
        """Connect to a socket as an unknown client."""
        return raw_client(self.path(socket))

    def refused(self, component: str) -> Counter[str]:
        """Return what a component counted: invalid frames, and for sealed ones the reasons of execution."""
        found = counter_by_label(self.paths, component, "bus_invalid_frames", "defect")
        if component == "execution":
            faults = counter_by_label(self.paths, component, "commands_rejected", "reason")
            found += Counter({fault: count for fault, count in faults.items() if fault in UNVERIFIED})
        return found

    def pids_now(self) -> dict[str, int]:
        """Return the pids of the running processes."""
        return {name: (self.up.manifest(name) or {}).get("pid", 0) for name in COMPONENTS}


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("x")) as up:
        for name in COMPONENTS:
            eventually(lambda name=name: up.is_restarted(name, killed=0), within_s=READY_S_MAX)  # type: ignore[misc]
        paths = load_settings(environ=up.environment).paths
        made = System(up, paths, SealKey(read_seal_key(paths)), {})
        made.pids.update(made.pids_now())
        yield made


@each_socket
def test_each_malformed_frame_is_counted_once_and_the_next_request_is_answered(
    system: System, socket: RequestSocket
) -> None:
    before = system.refused(socket.component)
    with system.connect(socket) as client:
        for name, (frames, _) in MALFORMED.items():
            client.send(frames(socket.topic, socket.request(system.key)))
            replies = socket.request_and_drain(client, system.key)
            assert len(replies) == (not socket.is_recovery), f"{name}: {replies}"
            assert all(isinstance(reply, Rejected | MalformedRequest) for reply in replies), f"{name}: {replies}"
    assert system.refused(socket.component) - before == Counter(expected_label(socket, name) for name in MALFORMED)


def expected_label(socket: RequestSocket, name: str) -> str:
    """Return the label under which a malformed frame is counted; a sealed message is decoded by execution only."""
    if socket.topic == COMMANDS.name.encode():
        found = {"half a message": RejectReason.FORGED, "garbage for a message": RejectReason.VERSION}.get(name)
        if found is not None:
            return found.value
    return MALFORMED[name][1]


@each_socket
def test_mutated_requests_are_answered_or_counted_and_end_nothing(system: System, socket: RequestSocket) -> None:
    before = system.refused(socket.component)
    body = encode(ApprovalRequest(INTENT)) if socket.topic == b"risk_requests" else socket.request(system.key)
    with system.connect(socket) as client:
        for frames in mutations([b"", socket.topic, HEADER, body], MUTATIONS, seed=SOCKETS.index(socket)):
            client.send(frames)
        replies = len(socket.request_and_drain(client, system.key))
    refused = (system.refused(socket.component) - before).total()
    assert replies == MUTATIONS - refused * socket.is_recovery
    assert refused > MUTATIONS / 4


@each_socket
def test_what_is_not_zeromq_or_too_large_for_it_never_arrives(system: System, socket: RequestSocket) -> None:
    before = system.refused(socket.component)
    with ExitStack() as held, system.connect(socket) as large, system.connect(socket) as client:
        for content in INVALID_BYTE_STREAMS.values():
            held.enter_context(raw_connection(system.path(socket), content))
        large.send([b"", socket.topic, HEADER, bytes(FRAME_BYTES_MAX + 1)])
        assert socket.request_and_drain(client, system.key) == []
    # Before ZeroMQ had greetings any bytes were frames, and it still accepts them.
    assert set(system.refused(socket.component) - before) <= {"shape"}


def test_what_is_sent_to_a_publisher_socket_is_ignored(system: System) -> None:
    with ExitStack() as held:
        for name in COMPONENTS:
            path = publisher_path(system.paths.run, name)
            for content in INVALID_BYTE_STREAMS.values():
                held.enter_context(raw_connection(path, content))
            client = held.enter_context(raw_client(path, zmq.XSUB))
            for frames in ([b""], [b"\x01" * 100_000], [b"\x02health"], [b"market", HEADER, b"x"], [b"x"] * 1_000):
                client.send(frames)
        alive: set[str] = set()
        for message in follow(system.paths.run, HEALTH, idle_timeout_ms=int(scaled(HEARTBEATS_MS_MAX))):
            alive.add(message.header.producer)
            if alive == set(COMPONENTS):
                break
    assert alive == set(COMPONENTS)


def test_after_all_that_the_same_processes_trade_and_agree_with_the_venue(system: System) -> None:
    eventually(lambda: "first fill" in system.up.stderr_text(), within_s=FILL_S_MAX)
    assert system.pids_now() == system.pids
    result = system.up.stop()
    assert result["ok"], f"{result}\n{system.up.stderr_text()}"
    assert result["restarts"] == {}
