"""The adapter to Alpaca against the sandbox and against servers that lie, over real sockets."""

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


def config_of(where: dict[str, str], **changes: Any) -> AlpacaConfig:
    urls = {"trading_url": where["trading_url"], "stream_url": where["stream_url"]}
    return CONFIG.alpaca.model_copy(update=urls | {"reply_timeout_ms": 2_000} | changes)


def keys_of(where: dict[str, str]) -> ApiKeys:
    return ApiKeys(Secret(where["key"].encode()), Secret(where["secret"].encode()))


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


@asynccontextmanager
async def venue(
    where: dict[str, str], halt_file: Path = Path("/nonexistent/HALT"), **changes: Any
) -> AsyncIterator[AlpacaRest]:
    rest = AlpacaRest(HttpClient(config_of(where, **changes), keys_of(where)), CLOCK, halt_file)
    await rest.open()
    try:
        yield rest
    finally:
        await rest.close()


def order(limit: str = "90", **changes: Any) -> SubmitOrder:
    """Make an approved order under a new name, resting far below the market unless said."""
    wanted = intent(next(NUMBERS), limit_price=Decimal(limit), quantity=Decimal(2), **changes)
    signal = approve(propose(wanted), terms(CLOCK.now_ns()), KEY)
    return SubmitOrder(ClientOrderId(f"{wanted.signal_id}-0-1"), signal)


async def accepted(rest: AlpacaRest, request: SubmitOrder) -> VenueOrder:
    answer = await rest.call(request)
    assert isinstance(answer, OrderAccepted), answer
    return answer.order


def test_an_order_is_accepted_found_and_cancelled(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
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

    on_a_loop(scene())


def test_the_same_name_twice_is_told_as_taken_also_after_the_first_has_ended(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with venue(sandbox.endpoints) as rest:
            request = order()
            placed = await accepted(rest, request)
            assert isinstance(await rest.call(request), DuplicateId)
            await rest.call(CancelOrder(request.client_order_id, placed.venue_order_id))
            assert isinstance(await rest.call(request), DuplicateId)

    on_a_loop(scene())


def test_a_fence_uses_up_a_name_and_is_cancelled(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
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
            answer = await rest.call(fence)
            assert isinstance(answer, OrderAccepted)
            assert isinstance(await rest.call(request), DuplicateId)
            await rest.call(CancelOrder(request.client_order_id, answer.order.venue_order_id))

    on_a_loop(scene())


def test_what_the_venue_does_not_know_is_missing_not_refused(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with venue(sandbox.endpoints) as rest:
            assert isinstance(await rest.call(QueryOrder(ClientOrderId("nobody"))), OrderNotFound)
            unknown = VenueOrderId("61e69015-8549-4bfd-b9c3-01e75843f47d")
            assert isinstance(await rest.call(QueryOrder(ClientOrderId(""), unknown)), OrderNotFound)
            assert isinstance(await rest.call(CancelOrder(ClientOrderId("nobody"), unknown)), OrderNotFound)

    on_a_loop(scene())


def test_a_refusal_is_told_in_the_venues_words(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with venue(sandbox.endpoints) as rest:
            answer = await rest.call(order(symbol=Symbol("NOSUCH")))
            assert isinstance(answer, RequestRejected)
            assert answer.status == 422
            assert "NOSUCH" in answer.text
            poor = await rest.call(order(limit="1000000"))
            assert isinstance(poor, RequestRejected)
            assert poor.status == 403

    on_a_loop(scene())


def test_the_whole_account_is_read_with_its_fills(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
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

    on_a_loop(scene())


def _works(one: VenueOrder) -> bool:
    return one.state is not None and one.state.is_working


def test_everything_open_is_cancelled_at_once(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with venue(sandbox.endpoints) as rest:
            placed = await accepted(rest, order())
            assert isinstance(await rest.call(CancelAllOrders()), CancelAllAccepted)

            async def is_cancelled() -> bool:
                found = await rest.call(QueryOrder(ClientOrderId(""), placed.venue_order_id))
                return isinstance(found, OrderFound) and found.order.state is OrderState.CANCELLED

            assert await eventually_async(is_cancelled)

    on_a_loop(scene())


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
def test_a_broken_answer_leaves_the_outcome_unknown_and_nothing_is_repeated(
    sandbox: SandboxProcess, fault: dict[str, Any], *, landed: bool
) -> None:
    async def scene() -> None:
        async with venue(sandbox.endpoints, reply_timeout_ms=500) as rest:
            sandbox.arm(**fault)
            request = order()
            assert isinstance(await rest.call(request), OutcomeUnknown)
            with sandbox.admin() as admin:
                names = [one["client_order_id"] for one in admin.get("/orders").json()]
            assert names.count(request.client_order_id) == int(landed)

    on_a_loop(scene())


def test_a_throttled_order_did_not_arrive(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with venue(sandbox.endpoints) as rest:
            sandbox.arm("answer", status=429)
            request = order()
            answer = await rest.call(request)
            assert isinstance(answer, Throttled)
            assert answer.retry_at_ns > CLOCK.now_ns() - 1_000_000_000
            assert isinstance(await rest.call(request), OrderAccepted)

    on_a_loop(scene())


def test_a_venue_that_is_not_there_was_never_reached(free_port: int) -> None:
    where = {"trading_url": f"http://127.0.0.1:{free_port}", "stream_url": "", "key": "k", "secret": "s"}

    async def scene() -> None:
        async with venue(where) as rest:
            assert isinstance(await rest.call(order()), Unreachable)
            assert isinstance(await rest.call(FetchVenueSnapshot(1, (), 0)), Unreachable)

    on_a_loop(scene())


@pytest.fixture
def free_port() -> int:
    """Give a port where nobody listens: it was free a moment ago."""
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_wrong_keys_are_told_as_such(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with venue(sandbox.endpoints | {"secret": "wrong"}) as rest:
            assert isinstance(await rest.call(order()), Unauthorized)
            assert isinstance(await rest.call(FetchVenueSnapshot(1, (), 0)), Unauthorized)

    on_a_loop(scene())


def test_a_halt_file_keeps_orders_back_and_lets_cancels_and_fences_pass(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    async def scene() -> None:
        halt = tmp_path / "HALT"
        async with venue(sandbox.endpoints, halt) as rest:
            request = order()
            halt.touch()
            assert await rest.call(request) == HaltedByFile(str(halt))
            assert isinstance(await rest.call(QueryOrder(request.client_order_id)), OrderNotFound)
            assert isinstance(await rest.call(CancelAllOrders()), CancelAllAccepted)
            halt.unlink()
            assert isinstance(await rest.call(request), OrderAccepted)

    on_a_loop(scene())


def test_an_order_without_an_approval_is_a_bug_not_an_order(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        unchecked: Any = propose(intent(next(NUMBERS)))
        forged: Signal[Approved] = unchecked
        async with venue(sandbox.endpoints) as rest:
            with pytest.raises(InvariantError, match="without an approval"):
                await rest.call(SubmitOrder(ClientOrderId("forged"), forged))

    on_a_loop(scene())


Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def lying(answering: Answering) -> AsyncIterator[dict[str, str]]:
    """Serve whatever this does with each connection."""
    server = await asyncio.start_server(answering, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield {"trading_url": f"http://127.0.0.1:{port}", "stream_url": "", "key": "k", "secret": "s"}


def saying(text: bytes) -> Answering:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        await writer.drain()
        writer.close()

    return answer


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer a byte at a time, for ever: each read is quick, the whole never comes."""
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
    "answering",
    [
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"),
        saying(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"id": "x"}\n'),
        saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{"),
        saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
        saying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
        saying(b"garbage"),
        saying(b""),
        trickle,
    ],
)
def test_whatever_a_server_does_to_an_order_its_outcome_is_unknown_within_the_deadline(answering: Answering) -> None:
    async def scene() -> None:
        async with lying(answering) as where, venue(where, reply_timeout_ms=300, connect_timeout_ms=300) as rest:
            assert isinstance(await rest.call(order()), OutcomeUnknown)

    on_a_loop(scene())


class Ears:
    """Hears a stream and keeps what it says."""

    def __init__(self, where: dict[str, str], **changes: Any) -> None:
        self.told: list[object] = []
        self._stream = AlpacaTradeUpdates(config_of(where, **changes), keys_of(where), lambda: 0.1)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Ears"]:
        task = asyncio.create_task(self._stream.run(self.told.append))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def hear(self, kind: type, times: int = 1) -> list[Any]:
        async def heard() -> list[object]:
            found = [one for one in self.told if isinstance(one, kind)]
            return found if len(found) >= times else []

        return await eventually_async(heard)


def test_the_stream_tells_of_each_order_from_the_first_word_to_the_fill(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with Ears(sandbox.endpoints).open() as ears, venue(sandbox.endpoints) as rest:
            await ears.hear(OrderStreamUp)
            placed = await accepted(rest, order("101"))

            async def filled() -> list[VenueOrderEvent]:
                events = [one for one in ears.told if isinstance(one, VenueOrderEvent)]
                ours = [one for one in events if one.order.venue_order_id == placed.venue_order_id]
                return ours if ours and ours[-1].order.state is OrderState.FILLED else []

            events = await eventually_async(filled)
            executions = [one.execution for one in events if one.kind is EventKind.EXECUTION]
            assert sum(one.quantity for one in executions if one is not None) == 2
            assert all(one.kind is not None for one in events)

    on_a_loop(scene())


def test_a_dropped_stream_comes_back_by_itself(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with Ears(sandbox.endpoints).open() as ears:
            await ears.hear(OrderStreamUp)
            await asyncio.to_thread(sandbox.arm, "drop_stream")
            await ears.hear(OrderStreamUp, times=2)
            assert [type(one) for one in ears.told if not isinstance(one, VenueOrderEvent)] == [
                OrderStreamUp,
                OrderStreamDown,
                OrderStreamUp,
            ]

    on_a_loop(scene())


def test_a_second_connection_is_refused_and_tried_again_slowly(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with Ears(sandbox.endpoints).open() as first:
            await first.hear(OrderStreamUp)
            async with Ears(sandbox.endpoints).open() as second:
                downs = await second.hear(OrderStreamDown)
                assert "429" in downs[0].reason

    on_a_loop(scene())


def test_wrong_keys_never_bring_the_stream_up(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with Ears(sandbox.endpoints | {"secret": "wrong"}).open() as ears:
            downs = await ears.hear(OrderStreamDown, times=2)
            assert "unauthorized" in downs[0].reason
            assert not [one for one in ears.told if isinstance(one, OrderStreamUp)]
            assert "wrong" not in str(ears.told)

    on_a_loop(scene())


def test_a_stream_that_is_alive_and_mute_is_found_out() -> None:
    from websockets.asyncio.server import ServerConnection, serve  # noqa: PLC0415

    async def mute_after_the_handshake(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"stream":"authorization","data":{"action":"authenticate","status":"authorized"}}')
        await connection.recv()
        await connection.send(b'{"stream":"listening","data":{"streams":["trade_updates"]}}')
        await connection.wait_closed()

    async def scene() -> None:
        async with serve(mute_after_the_handshake, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            where = {"trading_url": "", "stream_url": f"ws://127.0.0.1:{port}/stream", "key": "k", "secret": "s"}
            async with Ears(where, probe_after_idle_ms=200, reply_timeout_ms=200).open() as ears:
                downs = await ears.hear(OrderStreamDown)
                assert "mute" in downs[0].reason
                await ears.hear(OrderStreamUp, times=2)

    on_a_loop(scene())


def test_market_orders_pass_too(sandbox: SandboxProcess) -> None:
    async def scene() -> None:
        async with venue(sandbox.endpoints) as rest:
            wanted = intent(next(NUMBERS), order_type=OrderType.MARKET, limit_price=None, quantity=Decimal(1))
            signal = approve(propose(wanted), terms(CLOCK.now_ns()), KEY)
            answer = await rest.call(SubmitOrder(ClientOrderId(f"{wanted.signal_id}-0-1"), signal))
            assert isinstance(answer, OrderAccepted)
            assert answer.order.limit_price is None

    on_a_loop(scene())
