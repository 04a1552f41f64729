"""One real execution process between a real bus and a sandbox venue: what it accepts, survives and reports."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from components.contracts.approval import SealKey, approve, encode_approval, seal_control
from components.contracts.commands import Accepted, Cancel, CancelAll, Rejected, RejectReason
from components.contracts.signals import propose
from components.contracts.streams import COMMANDS
from components.contracts.values import AccountId, ClientOrderId, CommandId, SignalId, TimeInForce
from components.execution.core.state import ExecutionState
from components.execution.wiring import replay
from components.runtime.bus.bus import request_once
from components.runtime.clock import SystemClock
from components.runtime.journal.reader import read_records, verify_journal
from tests.support.eventually import eventually
from tests.support.execution_harness import intent, terms
from tests.support.machine import scaled
from tests.support.sandbox_process import PROJECT, SandboxProcess, running_sandbox

pytestmark = pytest.mark.integration
CLOCK = SystemClock()
SECRET = bytes(range(32))
KEY = SealKey(SECRET)
NUMBERS = count(1)
ANSWER_MS_MAX = 3_000


class RunningExecution:
    """An execution process with its own state; the test takes the role of risk."""

    def __init__(self, folder: Path, sandbox: SandboxProcess) -> None:
        self.run, self.state = folder / "r", folder / "var"
        self.sandbox = sandbox
        keys = self.state / "keys"
        keys.mkdir(parents=True, mode=0o700, exist_ok=True)
        (keys / "seal").write_bytes(SECRET)
        (keys / "seal").chmod(0o600)
        self.environment = {
            "XTRADER_ENV": "dev",
            "XTRADER__RUNTIME__STATE_DIR": str(self.state),
            "XTRADER__RUNTIME__RUN_DIR": str(self.run),
            "XTRADER__EXECUTION__ALPACA__TRADING_URL": sandbox.endpoints["trading_url"],
            "XTRADER__EXECUTION__ALPACA__STREAM_URL": sandbox.endpoints["stream_url"],
            "XTRADER__EXECUTION__ALPACA__REPLY_TIMEOUT_MS": "1000",
            "APCA_API_KEY_ID": sandbox.endpoints["key"],
            "APCA_API_SECRET_KEY": sandbox.endpoints["secret"],
        }
        self.start()

    @property
    def journal(self) -> Path:
        return self.state / "dev" / "sandbox" / "execution"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "components.execution", "run"],
            cwd=PROJECT,
            env=self.environment,
            stderr=subprocess.DEVNULL,
        )

    def ready(self) -> "RunningExecution":
        eventually(lambda: self.page("readyz") == '{"ready":true,"unmet":[]}', within_s=15)
        return self

    def page(self, name: str) -> str:
        """Return one of its HTTP pages; empty if it is not reachable."""
        try:
            manifest = json.loads((self.run / "execution.json").read_text())
            return httpx.get(f"http://127.0.0.1:{manifest['health_port']}/{name}", timeout=scaled(2)).text.strip()
        except (OSError, ValueError, httpx.HTTPError):
            return ""

    def metric(self, line: str) -> float:
        rows = [row for row in self.page("metrics").splitlines() if row.startswith(line + " ")]
        return float(rows[0].split()[-1]) if rows else 0.0

    def send_frame(self, frame: bytes) -> Any:
        return request_once(self.run, COMMANDS, frame, int(scaled(ANSWER_MS_MAX)))

    def command(self, *arguments: str) -> Any:
        """Run a command with --json and return its result."""
        done = subprocess.run(
            [sys.executable, "-m", "components.execution", *arguments, "--json"],
            cwd=PROJECT,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)

    def replayed(self) -> ExecutionState:
        return replay(read_records(self.journal))

    def venue_orders(self) -> list[dict[str, Any]]:
        with self.sandbox.admin() as admin:
            orders: list[dict[str, Any]] = admin.get("/orders").json()
        return orders

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(scaled(5))

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(scaled(10))


@pytest.fixture
def sandbox() -> Iterator[SandboxProcess]:
    with running_sandbox("--seed", "7", "--symbols", "AAPL,MSFT") as running:
        running.arm("stop_quotes")
        running.set_quote("AAPL", "99.99", "100.01")
        yield running


@pytest.fixture
def execution(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningExecution]:
    running = RunningExecution(tmp_path_factory.mktemp("x"), sandbox)
    try:
        yield running.ready()
    finally:
        if running.process.poll() is None:
            running.kill()


def frame(limit: str = "101", life_ms: int = 5_000, account: str = "sandbox", key: SealKey = KEY) -> tuple[bytes, str]:
    """Seal an order under a new id; with this limit it fills at once, below 99 it rests."""
    from decimal import Decimal  # noqa: PLC0415

    now_ns = CLOCK.now_ns()
    number = next(NUMBERS)
    wanted = intent(
        signal_id=SignalId(f"it-{number}"),
        limit_price=Decimal(limit),
        quantity=Decimal(1),
        time_in_force=TimeInForce.DAY,
        tick_at_ns=now_ns,
    )
    sealed = encode_approval(approve(propose(wanted), terms(now_ns, life_ms, AccountId(account)), key))
    return sealed, f"it-{number}-0-1"


def test_an_approved_order_is_journalled_sent_filled_and_counted(execution: RunningExecution) -> None:
    sealed, name = frame()
    reply = execution.send_frame(sealed)
    assert isinstance(reply, Accepted)
    eventually(lambda: execution.command("orders")["positions"] == {"AAPL": "1"})
    (order,) = execution.command("orders")["orders"]
    assert (order["client_order_id"], order["state"], order["filled"]) == (name, "filled", "1")
    kinds = [record["kind"] for record in execution.command("order", name)["records"]]
    assert kinds[:2] == ["IntentReceived", "OrderSending"]
    assert execution.command("venue")["positions"] == {"AAPL": "1"}
    assert execution.metric("xtrader_tick_to_order_seconds_count") == 1
    assert execution.end() == 0
    assert verify_journal(execution.journal).ok


def test_frames_that_fail_verification_are_rejected_counted_and_send_nothing(
    execution: RunningExecution,
) -> None:
    good, name = frame()
    bad = {
        RejectReason.FORGED: frame(key=SealKey(b"f" * 32))[0],
        RejectReason.EXPIRED: frame(life_ms=-1)[0],
        RejectReason.WRONG_ACCOUNT: frame(account="another")[0],
        RejectReason.VERSION: b"\x07" + frame()[0][1:],
        RejectReason.MALFORMED: b"short",
    }
    for fault, sealed in bad.items():
        reply = execution.send_frame(sealed)
        assert isinstance(reply, Rejected)
        assert reply.reject_reason is fault
        assert execution.metric(f'xtrader_commands_rejected_total{{reason="{fault}"}}') == 1
    altered = good[:60] + bytes((good[60] ^ 4,)) + good[61:]
    assert execution.send_frame(altered).reject_reason is RejectReason.FORGED
    first, again = execution.send_frame(good), execution.send_frame(good)
    assert isinstance(first, Accepted)
    assert again == first
    assert execution.metric('xtrader_commands_rejected_total{reason="replayed"}') == 1
    eventually(lambda: execution.replayed().positions)
    assert [order["client_order_id"] for order in execution.venue_orders()] == [name]


@pytest.mark.parametrize("kind", ["accept_then_drop", "accept_then_504", "accept_then_delay"])
def test_an_order_whose_response_was_lost_is_found_and_not_sent_twice(execution: RunningExecution, kind: str) -> None:
    execution.sandbox.arm(kind, ms=2_500)
    sealed, name = frame()
    execution.send_frame(sealed)
    eventually(lambda: execution.replayed().positions, within_s=8)
    assert [order["client_order_id"] for order in execution.venue_orders()] == [name]


def test_an_order_that_never_arrived_is_sent_again_under_its_id(execution: RunningExecution) -> None:
    execution.sandbox.arm("answer", status=503, times=2)
    sealed, name = frame()
    execution.send_frame(sealed)
    eventually(lambda: execution.replayed().positions, within_s=8)
    assert [order["client_order_id"] for order in execution.venue_orders()] == [name]


def test_an_order_that_stays_unknown_past_its_approval_is_fenced(execution: RunningExecution) -> None:
    execution.sandbox.arm("answer", status=503, times=2)
    sealed, name = frame(life_ms=300)
    execution.send_frame(sealed)

    def is_closed() -> bool:
        order = execution.replayed().order_by_client_id(ClientOrderId(name))
        return order is not None and order.state == "never_landed"

    eventually(is_closed, within_s=10)
    eventually(lambda: [order["status"] for order in execution.venue_orders()] == ["canceled"])
    (fence,) = execution.venue_orders()
    assert (fence["client_order_id"], fence["qty"], fence["limit_price"]) == (name, "1", "0.01")
    assert execution.replayed().positions == {}


def test_a_fill_that_the_stream_loses_is_found_in_a_snapshot(execution: RunningExecution) -> None:
    execution.sandbox.arm("lose_event", times=10)
    sealed, _ = frame()
    execution.send_frame(sealed)
    eventually(lambda: execution.replayed().positions == {"AAPL": 1}, within_s=12)


def test_duplicate_events_and_dropped_streams_count_nothing_twice(execution: RunningExecution) -> None:
    execution.sandbox.arm("duplicate_event", times=50)
    for _ in range(5):
        execution.send_frame(frame()[0])
        execution.sandbox.arm("drop_stream")
    eventually(lambda: execution.replayed().positions == {"AAPL": 5}, within_s=12)
    assert execution.command("venue")["positions"] == {"AAPL": "5"}


def test_orders_are_cancelled_one_by_one_and_all_together(execution: RunningExecution) -> None:
    names = []
    for _ in range(3):
        sealed, name = frame(limit="90")
        execution.send_frame(sealed)
        names.append(name)
    eventually(lambda: len([one for one in execution.replayed().open_orders() if one.venue_order_id]) == 3)
    given = terms(CLOCK.now_ns())
    execution.send_frame(seal_control(Cancel(CommandId("c-1"), ClientOrderId(names[0]), "drill"), given, KEY))
    eventually(lambda: not [one for one in execution.replayed().open_orders() if one.client_order_id == names[0]])
    execution.send_frame(seal_control(CancelAll(CommandId("c-2"), "drill"), given, KEY))
    eventually(lambda: not list(execution.replayed().open_orders()))
    assert {order["status"] for order in execution.venue_orders()} == {"canceled"}


def test_a_halt_file_stops_orders_while_all_processes_run(execution: RunningExecution) -> None:
    (execution.journal.parent / "HALT").touch()
    sealed, name = frame()
    execution.send_frame(sealed)

    def is_stopped() -> bool:
        order = execution.replayed().order_by_client_id(ClientOrderId(name))
        return order is not None and order.state == "never_sent"

    eventually(is_stopped)
    assert execution.venue_orders() == []


@pytest.mark.slow
def test_killed_again_and_again_while_trading_nothing_is_doubled_or_lost(execution: RunningExecution) -> None:
    sent: list[str] = []
    for _ in range(4):
        for _ in range(3):
            sealed, name = frame()
            assert isinstance(execution.send_frame(sealed), Accepted)
            sent.append(name)
        execution.kill()
        execution.start()
        execution.ready()
    eventually(lambda: not list(execution.replayed().open_orders()), within_s=15)
    at_the_venue = [order["client_order_id"] for order in execution.venue_orders() if order["limit_price"] == "101"]
    assert sorted(at_the_venue) == sorted(set(at_the_venue))
    assert set(at_the_venue) <= set(sent)
    landed = {one for one in sent if execution.replayed().orders[one].state == "filled"}
    assert landed == set(at_the_venue)
    assert execution.replayed().positions == {"AAPL": len(landed)}
    assert execution.command("venue")["positions"] == {"AAPL": str(len(landed))}
    execution.kill()
    assert verify_journal(execution.journal).ok


def test_a_venue_that_restarts_is_synced_again(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("v")
    with running_sandbox("--seed", "7", "--symbols", "AAPL", "--state", str(folder / "venue")) as sandbox:
        sandbox.arm("stop_quotes")
        sandbox.set_quote("AAPL", "99.99", "100.01")
        execution = RunningExecution(folder, sandbox)
        try:
            execution.ready()
            execution.send_frame(frame(limit="90")[0])
            eventually(lambda: any(one.venue_order_id for one in execution.replayed().open_orders()))
            sandbox.kill()
            eventually(lambda: "venue" in execution.page("readyz"))
            sandbox.restart()
            execution.ready()
            (order,) = list(execution.replayed().open_orders())
            assert order.state == "open"
        finally:
            execution.kill()


def test_another_account_at_the_venue_ends_the_process_with_78(execution: RunningExecution) -> None:
    assert execution.end() == 0
    with running_sandbox("--symbols", "AAPL") as other:
        for name, key in (("TRADING_URL", "trading_url"), ("STREAM_URL", "stream_url")):
            execution.environment[f"XTRADER__EXECUTION__ALPACA__{name}"] = other.endpoints[key]
        execution.environment |= {
            "APCA_API_KEY_ID": other.endpoints["key"],
            "APCA_API_SECRET_KEY": other.endpoints["secret"],
        }
        execution.start()
        assert execution.process.wait(scaled(15)) == 78
