"""The adapter to Alpaca against the sandbox and against faulty servers, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from components.contracts.approval import SealKey, approve
from components.contracts.errors import InvariantError
from components.contracts.orders import OrderState
from components.contracts.signals import Approved, Signal, propose
from components.contracts.values import ClientOrderId, OrderType, Side, Symbol, TimeInForce, VenueOrderId
from components.execution.config import AlpacaConfig
from components.execution.core.venue_messages import (
    CancelAccepted,
    CancelAllAccepted,
    CancelAllOrders,
    CancelOrder,
    DuplicateId,
    EventKind,
    Fence,
    FetchVenueSnapshot,
    HaltedByFile,
    OrderAccepted,
    OrderFound,
    OrderNotFound,
    OrderStreamDown,
    OrderStreamUp,
    OutcomeUnknown,
    QueryOrder,
    RequestRejected,
    SubmitOrder,
    Throttled,
    Unauthorized,
    Unreachable,
    VenueOrder,
    VenueOrderEvent,
    VenueSnapshot,
)
from components.execution.venues.alpaca.http_client import ApiKeys, HttpClient
from components.execution.venues.alpaca.rest import AlpacaRest
from components.execution.venues.alpaca.trade_updates import AlpacaTradeUpdates
from components.runtime.clock import SystemClock
from components.runtime.config.secrets import Secret
from tests.support.eventually import eventually_async
from tests.support.execution_harness import CONFIG, intent, terms
from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration
CLOCK = SystemClock()
KEY = SealKey(b"k" * 32)
NUMBERS = count(1)
AN_HOUR_NS = 3_600_000_000_000


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox("--seed", "7", "--symbols", "AAPL,MSFT") as running:
        running.arm("stop_quotes")
        running.set_quote("AAPL", "99.99", "100.01")
        running.set_quote("MSFT", "99.99", "100.01")
        yield running


@pytest.fixture(autouse=True)
def _without_faults(sandbox: SandboxProcess) -> Iterator[None]:
    yield
    with sandbox.admin() as admin:
        admin.delete("/faults")
    sandbox.arm("stop_quotes")


def config_of(endpoints: dict[str, str], **changes: Any) -> AlpacaConfig:
    urls = {"trading_url": endpoints["trading_url"], "stream_url": endpoints["stream_url"]}
    return CONFIG.alpaca.model_copy(update=urls | {"reply_timeout_ms": 2_000} | changes)


def keys_of(endpoints: dict[str, str]) -> ApiKeys:
    return ApiKeys(Secret(endpoints["key"].encode()), Secret(endpoints["secret"].encode()))


def run_async(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


@asynccontextmanager
async def venue(
    endpoints: dict[str, str], halt_file: Path = Path("/nonexistent/HALT"), **changes: Any
) -> AsyncIterator[AlpacaRest]:
    rest = AlpacaRest(HttpClient(config_of(endpoints, **changes), keys_of(endpoints)), CLOCK, halt_file)
    await rest.open()
    try:
        yield rest
    finally:
        await rest.close()


def order(limit: str = "90", **changes: Any) -> SubmitOrder:
    """Return an approved order under a new id, by default with a limit far below the market."""
    wanted = intent(next(NUMBERS), limit_price=Decimal(limit), quantity=Decimal(2), **changes)
    signal = approve(propose(wanted), terms(CLOCK.now_ns()), KEY)
    return SubmitOrder(ClientOrderId(f"{wanted.signal_id}-0-1"), signal)


async def accepted(rest: AlpacaRest, request: SubmitOrder) -> VenueOrder:
    response = await rest.call(request)
    assert isinstance(response, OrderAccepted), response
    return response.order


def test_an_order_is_accepted_found_and_cancelled(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            request = order()
            placed = await accepted(rest, request)
            assert (placed.quantity, placed.limit_price, placed.side) == (Decimal(2), Decimal(90), Side.BUY)
            by_name = await rest.call(QueryOrder(request.client_order_id))
            by_id = await rest.call(QueryOrder(request.client_order_id, placed.venue_order_id))
            assert isinstance(by_name, OrderFound)
            assert isinstance(by_id, OrderFound)
            assert by_name.order.venue_order_id == by_id.order.venue_order_id == placed.venue_order_id
            cancel = CancelOrder(request.client_order_id, placed.venue_order_id)
            assert isinstance(await rest.call(cancel), CancelAccepted)

    run_async(check())


def test_a_second_order_under_an_id_is_a_duplicate_also_after_the_first_has_ended(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            request = order()
            placed = await accepted(rest, request)
            assert isinstance(await rest.call(request), DuplicateId)
            await rest.call(CancelOrder(request.client_order_id, placed.venue_order_id))
            assert isinstance(await rest.call(request), DuplicateId)

    run_async(check())


def test_a_fence_uses_up_an_id_and_is_cancelled(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            request = order()
            fence = Fence(
                client_order_id=request.client_order_id,
                symbol=Symbol("AAPL"),
                side=Side.BUY,
                quantity=Decimal(1),
                limit_price=Decimal("0.01"),
                time_in_force=TimeInForce.DAY,
            )
            response = await rest.call(fence)
            assert isinstance(response, OrderAccepted)
            assert isinstance(await rest.call(request), DuplicateId)
            await rest.call(CancelOrder(request.client_order_id, response.order.venue_order_id))

    run_async(check())


def test_an_order_unknown_to_the_venue_is_not_found_and_not_rejected(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            assert isinstance(await rest.call(QueryOrder(ClientOrderId("nobody"))), OrderNotFound)
            unknown = VenueOrderId("61e69015-8549-4bfd-b9c3-01e75843f47d")
            assert isinstance(await rest.call(QueryOrder(ClientOrderId(""), unknown)), OrderNotFound)
            assert isinstance(await rest.call(CancelOrder(ClientOrderId("nobody"), unknown)), OrderNotFound)

    run_async(check())


def test_a_rejection_has_the_venues_text(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            response = await rest.call(order(symbol=Symbol("NOSUCH")))
            assert isinstance(response, RequestRejected)
            assert response.status == 422
            assert "NOSUCH" in response.text
            poor = await rest.call(order(limit="1000000"))
            assert isinstance(poor, RequestRejected)
            assert poor.status == 403

    run_async(check())


def test_a_snapshot_contains_the_account_and_its_fills(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            since_ns = CLOCK.now_ns() - AN_HOUR_NS
            resting = await accepted(rest, order())
            bought = await accepted(rest, order("101"))

            async def filled() -> VenueSnapshot | None:
                wanted = (QueryOrder(ClientOrderId(""), bought.venue_order_id), QueryOrder(ClientOrderId("nobody")))
                found = await rest.call(FetchVenueSnapshot(1, wanted, since_ns))
                assert isinstance(found, VenueSnapshot), found
                ours = [one for one in found.fills if one.venue_order_id == bought.venue_order_id]
                is_final = not [
                    one for one in found.orders if one.venue_order_id == bought.venue_order_id and _works(one)
                ]
                return found if is_final and sum(one.quantity for one in ours) == 2 else None

            read = await eventually_async(filled)
            assert read is not None
            states = {one.venue_order_id: one.state for one in read.orders}
            assert states[resting.venue_order_id] is OrderState.OPEN
            assert states[bought.venue_order_id] is OrderState.FILLED
            assert read.missing == (QueryOrder(ClientOrderId("nobody")),)
            assert {one.symbol for one in read.positions} == {"AAPL"}
            assert abs(read.session.clock_offset_ns) < 1_000_000_000
            assert read.account.account_number

    run_async(check())


def _works(one: VenueOrder) -> bool:
    return one.state is not None and one.state.is_working


def test_all_open_orders_are_cancelled_by_one_request(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            placed = await accepted(rest, order())
            assert isinstance(await rest.call(CancelAllOrders()), CancelAllAccepted)

            async def is_cancelled() -> bool:
                found = await rest.call(QueryOrder(ClientOrderId(""), placed.venue_order_id))
                return isinstance(found, OrderFound) and found.order.state is OrderState.CANCELLED

            assert await eventually_async(is_cancelled)

    run_async(check())


@pytest.mark.parametrize(
    ("fault", "landed"),
    [
        ({"kind": "accept_then_drop"}, True),
        ({"kind": "accept_then_504"}, True),
        ({"kind": "accept_then_delay", "ms": 4_000}, True),
        ({"kind": "answer", "status": 500}, False),
        ({"kind": "answer", "status": 502}, False),
    ],
)
def test_a_broken_response_leaves_the_outcome_unknown_and_nothing_is_repeated(
    sandbox: SandboxProcess, fault: dict[str, Any], *, landed: bool
) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints, reply_timeout_ms=500) as rest:
            sandbox.arm(**fault)
            request = order()
            assert isinstance(await rest.call(request), OutcomeUnknown)
            with sandbox.admin() as admin:
                names = [one["client_order_id"] for one in admin.get("/orders").json()]
            assert names.count(request.client_order_id) == int(landed)

    run_async(check())


def test_a_throttled_order_did_not_arrive(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            sandbox.arm("answer", status=429)
            request = order()
            response = await rest.call(request)
            assert isinstance(response, Throttled)
            assert response.retry_at_ns > CLOCK.now_ns() - 1_000_000_000
            assert isinstance(await rest.call(request), OrderAccepted)

    run_async(check())


def test_an_unreachable_venue_received_nothing(free_port: int) -> None:
    endpoints = {"trading_url": f"http://127.0.0.1:{free_port}", "stream_url": "", "key": "k", "secret": "s"}

    async def check() -> None:
        async with venue(endpoints) as rest:
            assert isinstance(await rest.call(order()), Unreachable)
            assert isinstance(await rest.call(FetchVenueSnapshot(1, (), 0)), Unreachable)

    run_async(check())


@pytest.fixture
def free_port() -> int:
    """Return a port on which no process listens."""
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_wrong_keys_are_unauthorized(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints | {"secret": "wrong"}) as rest:
            assert isinstance(await rest.call(order()), Unauthorized)
            assert isinstance(await rest.call(FetchVenueSnapshot(1, (), 0)), Unauthorized)

    run_async(check())


def test_a_halt_file_stops_orders_but_not_cancels_and_fences(sandbox: SandboxProcess, tmp_path: Path) -> None:
    async def check() -> None:
        halt = tmp_path / "HALT"
        async with venue(sandbox.endpoints, halt) as rest:
            request = order()
            halt.touch()
            assert await rest.call(request) == HaltedByFile(str(halt))
            assert isinstance(await rest.call(QueryOrder(request.client_order_id)), OrderNotFound)
            assert isinstance(await rest.call(CancelAllOrders()), CancelAllAccepted)
            halt.unlink()
            assert isinstance(await rest.call(request), OrderAccepted)

    run_async(check())


def test_an_order_without_an_approval_is_a_bug_not_an_order(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        unchecked: Any = propose(intent(next(NUMBERS)))
        forged: Signal[Approved] = unchecked
        async with venue(sandbox.endpoints) as rest:
            with pytest.raises(InvariantError, match="without an approval"):
                await rest.call(SubmitOrder(ClientOrderId("forged"), forged))

    run_async(check())


ConnectionHandler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def faulty_server(handler: ConnectionHandler) -> AsyncIterator[dict[str, str]]:
    """Serve each connection with this handler."""
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield {"trading_url": f"http://127.0.0.1:{port}", "stream_url": "", "key": "k", "secret": "s"}


def replying(text: bytes) -> ConnectionHandler:
    async def response(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()
        writer.close()

    return response


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send one byte at a time, forever: each read is quick, the response is never complete."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    try:
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.wait([asyncio.ensure_future(reader.read(1))], timeout=0.05)
    except ConnectionError:
        return


@pytest.mark.parametrize(
    "handler",
    [
        replying(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"),
        replying(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"id": "x"}\n'),
        replying(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{"),
        replying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
        replying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
        replying(b"garbage"),
        replying(b""),
        trickle,
    ],
)
def test_any_server_fault_on_an_order_gives_an_unknown_outcome_within_the_deadline(handler: ConnectionHandler) -> None:
    async def check() -> None:
        async with (
            faulty_server(handler) as endpoints,
            venue(endpoints, reply_timeout_ms=300, connect_timeout_ms=300) as rest,
        ):
            assert isinstance(await rest.call(order()), OutcomeUnknown)

    run_async(check())


class StreamListener:
    """Receives a stream and stores what it delivers."""

    def __init__(self, endpoints: dict[str, str], **changes: Any) -> None:
        self.delivered: list[object] = []
        self._stream = AlpacaTradeUpdates(config_of(endpoints, **changes), keys_of(endpoints), lambda: 0.1)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["StreamListener"]:
        task = asyncio.create_task(self._stream.run(self.delivered.append))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def receive(self, kind: type, times: int = 1) -> list[Any]:
        async def received() -> list[object]:
            found = [one for one in self.delivered if isinstance(one, kind)]
            return found if len(found) >= times else []

        return await eventually_async(received)


def test_the_stream_reports_an_order_from_its_acceptance_to_its_fill(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with StreamListener(sandbox.endpoints).open() as listener, venue(sandbox.endpoints) as rest:
            await listener.receive(OrderStreamUp)
            placed = await accepted(rest, order("101"))

            async def filled() -> list[VenueOrderEvent]:
                events = [one for one in listener.delivered if isinstance(one, VenueOrderEvent)]
                ours = [one for one in events if one.order.venue_order_id == placed.venue_order_id]
                return ours if ours and ours[-1].order.state is OrderState.FILLED else []

            events = await eventually_async(filled)
            executions = [one.execution for one in events if one.kind is EventKind.EXECUTION]
            assert sum(one.quantity for one in executions if one is not None) == 2
            assert all(one.kind is not None for one in events)

    run_async(check())


def test_a_dropped_stream_reconnects(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with StreamListener(sandbox.endpoints).open() as listener:
            await listener.receive(OrderStreamUp)
            await asyncio.to_thread(sandbox.arm, "drop_stream")
            await listener.receive(OrderStreamUp, times=2)
            assert [type(one) for one in listener.delivered if not isinstance(one, VenueOrderEvent)] == [
                OrderStreamUp,
                OrderStreamDown,
                OrderStreamUp,
            ]

    run_async(check())


def test_a_second_connection_is_rejected_and_retried_slowly(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with StreamListener(sandbox.endpoints).open() as first:
            await first.receive(OrderStreamUp)
            async with StreamListener(sandbox.endpoints).open() as second:
                downs = await second.receive(OrderStreamDown)
                assert "429" in downs[0].reason

    run_async(check())


def test_wrong_keys_never_bring_the_stream_up(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with StreamListener(sandbox.endpoints | {"secret": "wrong"}).open() as listener:
            downs = await listener.receive(OrderStreamDown, times=2)
            assert "unauthorized" in downs[0].reason
            assert not [one for one in listener.delivered if isinstance(one, OrderStreamUp)]
            assert "wrong" not in str(listener.delivered)

    run_async(check())


def test_a_connected_stream_without_data_is_detected() -> None:
    from websockets.asyncio.server import ServerConnection, serve  # noqa: PLC0415

    async def silent_after_the_handshake(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"stream":"authorization","data":{"action":"authenticate","status":"authorized"}}')
        await connection.recv()
        await connection.send(b'{"stream":"listening","data":{"streams":["trade_updates"]}}')
        await connection.wait_closed()

    async def check() -> None:
        async with serve(silent_after_the_handshake, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            endpoints = {"trading_url": "", "stream_url": f"ws://127.0.0.1:{port}/stream", "key": "k", "secret": "s"}
            async with StreamListener(endpoints, probe_after_idle_ms=200, reply_timeout_ms=200).open() as listener:
                downs = await listener.receive(OrderStreamDown)
                assert "does not reply" in downs[0].reason
                await listener.receive(OrderStreamUp, times=2)

    run_async(check())


def test_market_orders_are_accepted_too(sandbox: SandboxProcess) -> None:
    async def check() -> None:
        async with venue(sandbox.endpoints) as rest:
            wanted = intent(next(NUMBERS), order_type=OrderType.MARKET, limit_price=None, quantity=Decimal(1))
            signal = approve(propose(wanted), terms(CLOCK.now_ns()), KEY)
            response = await rest.call(SubmitOrder(ClientOrderId(f"{wanted.signal_id}-0-1"), signal))
            assert isinstance(response, OrderAccepted)
            assert response.order.limit_price is None

    run_async(check())
