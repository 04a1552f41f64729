"""Both drivers over real sockets and a real journal: order, wake-ups, venue calls, and how they end."""

import asyncio
import os
import select
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from components.contracts.commands import Accepted
from components.contracts.decisions import OperatorAction, OperatorCommand, OperatorReply
from components.contracts.errors import VenueUnavailable
from components.contracts.orders import VenueConnectivity, VenueConnectivityChanged
from components.contracts.streams import COMMANDS, HEALTH, ORDERS, RISK_REQUESTS
from components.contracts.values import CommandId, StreamOffset, Venue
from components.runtime.clock import SystemClock
from components.runtime.journal.group_commit import GroupCommitter
from components.runtime.journal.journal import Journal
from components.runtime.process.loop import CONCURRENT_CALLS_MAX, LoopContext, run_async, run_blocking
from components.runtime.service import (
    Append,
    CallVenue,
    CommandAcknowledged,
    Effects,
    Inbound,
    MessageReceived,
    Reply,
    RequestReceived,
    Terminate,
    VenueCallCompleted,
    VenueEvent,
)
from tests.support.bus_harness import BusEndpoint, BusHarness, PollingThread, bus_harness
from tests.support.eventually import eventually_async
from tests.support.scripted_service import ScriptedService

pytestmark = pytest.mark.integration
FOR_EVER_MS = 60_000
"""A tick that never comes: a test that needs one times out."""

Deliver = Callable[[Any], None]


class Done(Exception):
    """Ends the loop when the test has seen what it expects."""


class CallRecorder:
    """A venue client that completes its calls when the test opens the gate."""

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.started: list[Any] = []
        self.gate = asyncio.Event()

    async def open(self) -> None:
        self.delivered.append("open")

    async def call(self, request: Any) -> Any:
        self.started.append(request)
        await self.gate.wait()
        return ("answer", request)

    async def close(self) -> None:
        self.delivered.append("close")


@dataclass
class Plot:
    """An event source that runs the test on the loop; the loop ends with it."""

    act: Callable[[Deliver], Awaitable[None]]

    async def run(self, deliver: Deliver) -> None:
        await self.act(deliver)
        raise Done


@pytest.fixture
def buses() -> Iterator[BusHarness]:
    with bus_harness() as opened:
        yield opened


def make_context(endpoint: BusEndpoint, service: ScriptedService, **more: Any) -> LoopContext:
    wanted: dict[str, Any] = {"tick_ms": 20, "drain_timeout_ms": 1_000, "should_stop": lambda: False, **more}
    return LoopContext(
        component=endpoint.bindings.component,
        version="1",
        service=service,
        bus=endpoint.bus,
        clock=SystemClock(),
        log=endpoint.log,
        report_health=lambda _: None,
        **wanted,
    )


@contextmanager
def driven(
    drive: Callable[[LoopContext], None], endpoint: BusEndpoint, service: ScriptedService, **more: Any
) -> Iterator[None]:
    """Run a driver on a thread for the duration of a block."""
    stop = False
    thread = Thread(target=drive, args=(make_context(endpoint, service, should_stop=lambda: stop, **more),))
    thread.start()
    try:
        yield
    finally:
        stop = True
        thread.join()


def play(
    endpoint: BusEndpoint, service: ScriptedService, act: Callable[[Deliver], Awaitable[None]], **more: Any
) -> None:
    """Run the async driver until the plot has ended; only what the plot does can wake it."""
    with pytest.raises(ExceptionGroup) as ended:
        run_async(make_context(endpoint, service, feed=Plot(act), tick_ms=FOR_EVER_MS, **more))
    assert ended.group_contains(Done), ended.value


def the_kind(service: ScriptedService, kind: type) -> list[Any]:
    return [one for one in service.received if isinstance(one, kind)]


def operate(name: str) -> OperatorCommand:
    return OperatorCommand(CommandId(name), OperatorAction.HALT, "drill")


@dataclass
class Journalled:
    """Execution with a real journal, polled by a driver instead of the test."""

    endpoint: BusEndpoint
    journal: Journal
    committer: GroupCommitter
    durable_at_reply: list[int]

    def acknowledge(self, message: Inbound) -> Effects:
        """Acknowledge each command after its record."""
        match message:
            case RequestReceived(_, ticket, body):
                self.durable_at_reply.append(self.journal.last_sequence)
                record = VenueConnectivityChanged(Venue("alpaca"), VenueConnectivity.HEALTHY, body.decode(), 1)
                return (Append(record), Reply(ticket, Accepted(CommandId(body.decode()), len(self.durable_at_reply))))
            case _:
                return ()


@pytest.fixture
def execution(buses: BusHarness, tmp_path: Path) -> Iterator[Journalled]:
    with ExitStack() as held:
        journal = Journal.open(tmp_path / "journal", owner="execution", account="a", now_ns=1)
        held.callback(journal.close)
        committer = GroupCommitter(journal)
        held.callback(committer.close, 1.0)
        lines: dict[str, Any] = {"serves": (COMMANDS,), "journal_stream": ORDERS, "journal_id": journal.journal_id}
        endpoint = buses.open("execution", publishes=(HEALTH,), records=journal.records, **lines)
        buses.endpoints.remove(endpoint)
        held.callback(endpoint.bus.close)
        yield Journalled(endpoint, journal, committer, [])


@pytest.mark.parametrize("drive", [run_blocking, run_async])
def test_commands_are_acknowledged_after_their_records_which_are_published(
    buses: BusHarness, execution: Journalled, drive: Callable[[LoopContext], None]
) -> None:
    risk = buses.open("risk", sends_commands=(COMMANDS,), subscribes={ORDERS: StreamOffset("orders", "", 0)})
    with driven(drive, execution.endpoint, ScriptedService(execution.acknowledge), committer=execution.committer):
        buses.poll_until(risk.synced_offsets)
        for number in range(50):
            risk.bus.send_command(COMMANDS, f"c-{number}".encode())
        buses.poll_until(lambda: len(risk.all(CommandAcknowledged)) == 50 and len(risk.all(MessageReceived)) == 50)
    assert [one.body.sequence for one in risk.all(CommandAcknowledged)] == list(range(1, 51))
    assert risk.sequences() == list(range(1, 51))
    assert [one.body.reason for one in risk.all(MessageReceived)] == [f"c-{number}" for number in range(50)]
    assert execution.durable_at_reply[0] == 0


def test_a_blocking_loop_rests_after_two_notifications_of_the_same_sync(execution: Journalled) -> None:
    service, turns = ScriptedService(), 0

    def counted() -> bool:
        nonlocal turns
        turns += 1
        return service.ticks > 20

    os.eventfd_write(execution.committer.fileno(), 1)
    run_blocking(make_context(execution.endpoint, service, committer=execution.committer, should_stop=counted))
    assert turns < 4 * service.ticks


def test_a_message_whose_edge_a_send_consumed_is_still_received(buses: BusHarness) -> None:
    risk, signals = (
        buses.open("risk", serves=(RISK_REQUESTS,), publishes=(HEALTH,)),
        buses.open("signals", requests=(RISK_REQUESTS,)),
    )
    (descriptor,) = risk.bus.filenos()
    service = ScriptedService()

    async def request(count: int) -> bool:
        signals.poll()
        return len(the_kind(service, RequestReceived)) == count

    async def act(deliver: Deliver) -> None:
        signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), FOR_EVER_MS)
        await eventually_async(lambda: request(1))
        signals.bus.request(RISK_REQUESTS, "c-2", operate("c-2"), FOR_EVER_MS)
        # The loop is blocked here until the second request has raised the descriptor's edge ...
        assert select.select([descriptor], [], [], 5)[0]
        # ... and the replies to the first, sent on the same socket, consume it.
        while select.select([descriptor], [], [], 0)[0]:
            deliver("answer the first")
        await eventually_async(lambda: request(2))

    def react(message: Inbound) -> Effects:
        if isinstance(message, VenueEvent):
            return (Reply(the_kind(service, RequestReceived)[0].reply_to, OperatorReply(CommandId("c-1"), True, "")),)
        return ()

    service.react = react
    play(risk, service, act)


def test_more_messages_than_one_drain_takes_are_received_without_another_edge(buses: BusHarness) -> None:
    risk, signals = (
        buses.open("risk", serves=(RISK_REQUESTS,), publishes=(HEALTH,)),
        buses.open("signals", requests=(RISK_REQUESTS,)),
    )
    service = ScriptedService()

    async def act(_: Deliver) -> None:
        for number in range(1_000):
            signals.bus.request(RISK_REQUESTS, f"c-{number}", operate(f"c-{number}"), FOR_EVER_MS)

        async def all_called() -> bool:
            signals.poll()
            return len(the_kind(service, RequestReceived)) == 1_000

        await eventually_async(all_called)

    play(risk, service, act)


def test_calls_to_the_venue_run_at_once_up_to_a_bound_and_begin_in_order(buses: BusHarness) -> None:
    execution, service, venue = buses.open("execution", publishes=(HEALTH,)), ScriptedService(), CallRecorder()
    service.started = tuple(CallVenue(number) for number in range(CONCURRENT_CALLS_MAX + 10))

    async def all_answered() -> bool:
        return len(the_kind(service, VenueCallCompleted)) == CONCURRENT_CALLS_MAX + 10

    async def act(_: Deliver) -> None:
        await asyncio.sleep(0)
        assert venue.started == list(range(CONCURRENT_CALLS_MAX))
        venue.gate.set()
        await eventually_async(all_answered)

    play(execution, service, act, venue=venue)
    assert venue.started == list(range(CONCURRENT_CALLS_MAX + 10))
    assert the_kind(service, VenueCallCompleted)[0] == VenueCallCompleted(0, ("answer", 0))
    assert venue.delivered == ["open", "close"]


def test_a_venue_event_is_dispatched_at_once(buses: BusHarness) -> None:
    execution, service = buses.open("execution", publishes=(HEALTH,)), ScriptedService()

    async def act(deliver: Deliver) -> None:
        deliver("a fill")
        assert service.received == [VenueEvent("a fill")]

    play(execution, service, act)


def test_a_stop_waits_for_running_calls_before_the_venue_is_closed(buses: BusHarness) -> None:
    execution, service, venue = buses.open("execution", publishes=(HEALTH,)), ScriptedService(), CallRecorder()
    service.started, service.drained = (CallVenue(1),), False
    venue.gate.set()

    def react(message: Inbound) -> Effects:
        service.drained = isinstance(message, VenueCallCompleted)
        return ()

    service.react = react
    run_async(make_context(execution, service, venue=venue, should_stop=lambda: True))
    assert service.calls == ["start", "stop"]
    assert the_kind(service, VenueCallCompleted) == [VenueCallCompleted(1, ("answer", 1))]
    assert venue.delivered == ["open", "close"]


def test_a_call_that_outlives_the_drain_is_cut_off(buses: BusHarness) -> None:
    execution, service, venue = buses.open("execution", publishes=(HEALTH,)), ScriptedService(), CallRecorder()
    service.started, service.drained = (CallVenue(1),), False
    run_async(make_context(execution, service, venue=venue, should_stop=lambda: True, drain_timeout_ms=50))
    assert venue.delivered == ["open", "close"]
    assert [name for _, name, _ in execution.log.lines] == ["drain_timeout"]


def test_a_terminate_effect_ends_the_async_loop_with_its_error(buses: BusHarness) -> None:
    risk, signals = (
        buses.open("risk", serves=(RISK_REQUESTS,), publishes=(HEALTH,)),
        buses.open("signals", requests=(RISK_REQUESTS,)),
    )
    venue = CallRecorder()
    signals.bus.request(RISK_REQUESTS, "c-1", operate("c-1"), FOR_EVER_MS)
    service = ScriptedService(
        lambda message: (Terminate(VenueUnavailable("gone")),) if isinstance(message, RequestReceived) else ()
    )
    with PollingThread(signals), pytest.raises(ExceptionGroup) as ended:
        run_async(make_context(risk, service, venue=venue))
    assert ended.group_contains(VenueUnavailable)
    assert venue.delivered == ["open", "close"]


def test_a_bug_in_an_adapter_ends_the_async_loop(buses: BusHarness) -> None:
    service, venue = ScriptedService(), CallRecorder()
    service.started = (CallVenue(1),)
    venue.call = _broken  # type: ignore[method-assign]
    with pytest.raises(ExceptionGroup) as ended:
        run_async(make_context(buses.open("execution", publishes=(HEALTH,)), service, venue=venue))
    assert ended.group_contains(KeyError)


async def _broken(request: Any) -> Any:
    raise KeyError(request)
