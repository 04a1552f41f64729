"""More requests than can be answered, and more messages than are read: memory stays bounded, and work continues."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from msgspec.structs import replace

from components.contracts.approval import SealKey, seal_control
from components.contracts.commands import Accepted, Withdraw
from components.contracts.decisions import AccountQuery, AccountSnapshot, ApprovalRequest
from components.contracts.errors import PeerUnreachable
from components.contracts.streams import COMMANDS, RISK_REQUESTS, Stream
from components.contracts.values import CommandId, IntentId, SignalId
from components.runtime.bus.bus import request_once
from components.runtime.bus.codec import encode
from components.runtime.config.secrets import read_seal_key
from components.runtime.config.settings import child_environment, load_settings
from components.runtime.process.manifest import read_manifest
from components.xtrader.drills.order_checker import check_orders
from tests.support.approvals import approval_terms
from tests.support.component_process import PROJECT, ComponentProcess, page_url
from tests.support.eventually import eventually, reached
from tests.support.journal_records import fill_count
from tests.support.machine import scaled
from tests.support.malformed_frames import HEADER, raw_client
from tests.support.running_system import RunningSystem, running_system
from tests.support.sample_messages import INTENT
from tests.support.sandbox_process import running_sandbox
from tests.support.small_queues import MARK

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(180)]

SMALL_QUEUES = ("-m", "tests.support.small_queues")
REQUESTS = 3_000
ANSWER_MS_MAX = 5_000
GROWTH_BYTES_MAX = 64 << 20
WITHIN_S = 60
LOST = 8 * MARK
"""More than waits for a subscriber that stopped: in the queues of both sides, and in the buffers of the kernel."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("x")) as running:
        eventually(lambda: "first fill" in running.stderr_text(), within_s=WITHIN_S)
        yield running


@contextmanager
def bounded(pid: int) -> Iterator[None]:
    """Check that a process has not grown by the end of a block."""
    process = psutil.Process(pid)
    before = process.memory_info().rss
    yield
    assert process.memory_info().rss - before < GROWTH_BYTES_MAX


def pid_of(up: RunningSystem, name: str) -> int:
    return int((up.manifest(name) or {})["pid"])


def withdrawal(name: str, key: SealKey) -> bytes:
    """Return a sealed control that changes nothing."""
    return seal_control(Withdraw(CommandId(name), IntentId("nobody's-0"), "a drill"), approval_terms(), key)


def expired_request(name: str, _: SealKey) -> bytes:
    """Return a request for an order that has expired."""
    return encode(ApprovalRequest(replace(INTENT, signal_id=SignalId(name))))


def answered(run: Path, stream: Stream, request: object) -> object:
    """Repeat a request until it is answered: it waits behind the earlier ones, which takes a slow machine some time."""

    def reply() -> object:
        try:
            return request_once(run, stream, request, int(scaled(ANSWER_MS_MAX)))
        except PeerUnreachable:
            return None

    return eventually(reply, within_s=WITHIN_S)


@pytest.mark.parametrize(
    ("socket", "request_of"), [("risk.risk_requests", expired_request), ("execution.commands", withdrawal)]
)
def test_a_flood_of_requests_whose_client_never_reads_is_survived(
    up: RunningSystem, socket: str, request_of: Callable[[str, SealKey], bytes]
) -> None:
    places, (name, _, topic) = load_settings(environ=up.environment).paths, socket.partition(".")
    key = SealKey(read_seal_key(places))
    requests = [[b"", topic.encode(), HEADER, request_of(f"flood-{number}", key)] for number in range(REQUESTS)]
    with bounded(pid_of(up, name)), raw_client(places.socket(socket)) as client:
        with raw_client(places.socket(socket)) as leaves_at_once:
            for request in requests:
                leaves_at_once.send(request)
        for request in requests:
            client.send(request)
        assert isinstance(answered(places.run, RISK_REQUESTS, AccountQuery("a-1")), AccountSnapshot)
        assert isinstance(answered(places.run, COMMANDS, withdrawal(f"after-{name}", key)), Accepted)
    before = fill_count(places)
    eventually(lambda: fill_count(places) > before, within_s=WITHIN_S)


def test_after_the_floods_the_same_processes_agree_with_the_venue(up: RunningSystem) -> None:
    result = up.stop()
    assert result["ok"], f"{result}\n{up.stderr_text()}"
    assert result["restarts"] == {}
    assert check_orders(load_settings(environ=up.environment).paths)[0] == []


def test_a_subscriber_that_stops_reading_loses_and_sees_it_while_the_publisher_goes_on(tmp_path: Path) -> None:
    with running_sandbox("--speed", "1000") as venue:
        keys = {"APCA_API_KEY_ID": venue.endpoints["key"], "APCA_API_SECRET_KEY": venue.endpoints["secret"]}
        overrides = {"XTRADER__MARKET_DATA__ALPACA__STREAM_URL": venue.endpoints["data_url"], **keys}
        with ComponentProcess("market_data", tmp_path, overrides, (*SMALL_QUEUES, "run")) as publisher:
            eventually(publisher.is_ready, within_s=WITHIN_S)
            with tailing(tmp_path) as (tail, received):
                reached(lambda: len(sequences(received)), 100)
                tail.send_signal(signal.SIGSTOP)
                last = reached(lambda: published(publisher), published(publisher) + LOST)
                tail.send_signal(signal.SIGCONT)
                reached(lambda: sequences(received)[-1], last, every_s=0.2)
            assert publisher.is_ready()
            assert publisher.terminate() == 0, publisher.log
    steps = [after - before for before, after in pairwise(sequences(received))]
    assert max(steps) > 1, "nothing was lost: the subscriber was not slow enough"
    assert min(steps) == 1


@contextmanager
def tailing(state: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Run market_data's own tail command into a file."""
    received = state / "received"
    folders = {"XTRADER__RUNTIME__STATE_DIR": str(state / "var"), "XTRADER__RUNTIME__RUN_DIR": str(state / "r")}
    command = [sys.executable, *SMALL_QUEUES, "tail", "--json"]
    with received.open("wb") as output:
        tail = subprocess.Popen(command, cwd=PROJECT, env=child_environment(folders), stdout=output)
    try:
        yield tail, received
    finally:
        tail.kill()
        tail.wait()


def sequences(received: Path) -> list[int]:
    """Return the sequence numbers of the messages that the tail printed, whole lines only."""
    lines = received.read_bytes().splitlines(keepends=True)
    output: list[dict[str, Any]] = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return [one["sequence"] for one in output]


def published(publisher: ComponentProcess) -> int:
    """Return how many messages were published on the market stream."""
    manifest = read_manifest(publisher.paths, publisher.name)
    assert manifest is not None
    page = httpx.get(page_url(manifest, "metrics"), timeout=scaled(5)).text
    found = re.search(r'xtrader_bus_published_total\{.*stream="market".*\} (\S+)', page)
    assert found is not None, page
    return int(float(found[1]))
