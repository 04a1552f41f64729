"""A frame without a valid approval never becomes an order, whatever is sent to the real socket of a real process."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from components.contracts.approval import SealKey, seal_control
from components.contracts.commands import Accepted, Acknowledgement, CancelAll, Rejected, RejectReason
from components.contracts.orders import OrderState, OrderUpdated, Reconciled, VenueConnectivityChanged, client_order_id
from components.contracts.signals import Intent
from components.contracts.streams import COMMANDS, ORDERS
from components.contracts.values import AccountId, CommandId
from components.runtime.bus.bus import request_once
from components.runtime.bus.codec import message_decoder
from components.runtime.config.secrets import create_seal_key, read_seal_key
from components.runtime.journal import reader
from tests.support.approvals import (
    APPROVAL_TTL_NS,
    FOREIGN_KEY,
    approval_terms,
    market_order_intent,
    sealed_frame,
    with_flipped_bit,
)
from tests.support.component_process import ComponentProcess, counter_by_label
from tests.support.eventually import eventually
from tests.support.machine import scaled
from tests.support.sandbox_process import SandboxProcess, running_sandbox

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(60)]
ANSWER_MS_MAX = 5_000
READY_S_MAX = 20
BY_ITSELF = (Reconciled, VenueConnectivityChanged)
"""Records that execution appends without a command."""


@dataclass(frozen=True)
class ExecutionWithSandbox:
    """A real execution process with a sandbox venue, and the key with which risk would seal."""

    execution: ComponentProcess
    sandbox: SandboxProcess
    key: SealKey

    def send(self, frame: bytes) -> Acknowledgement:
        """Send a frame as risk does and return the reply."""
        reply: Acknowledgement = request_once(self.execution.paths.run, COMMANDS, frame, int(scaled(ANSWER_MS_MAX)))
        return reply

    def trade(self, intent: Intent) -> Accepted:
        """Send a valid approval and wait until its order is filled."""
        reply = self.send(sealed_frame(intent, self.key))
        assert isinstance(reply, Accepted), reply
        assert reply == Accepted(CommandId(intent.intent_id), reply.sequence)
        eventually(lambda: OrderState.FILLED in self.states(intent))
        return reply

    def records(self) -> list[Any]:
        """Return the journal's records that a command caused."""
        decode, folder = message_decoder(ORDERS), self.execution.paths.journal("execution")
        found = [decode(record.payload) for record in reader.read_records(folder)]
        return [record for record in found if not isinstance(record, BY_ITSELF)]

    def states(self, intent: Intent) -> list[OrderState]:
        """Return the states of an intent's order in the journal."""
        updates = (record for record in self.records() if isinstance(record, OrderUpdated))
        return [update.state for update in updates if update.intent_id == intent.intent_id]

    def orders(self) -> list[tuple[str, str]]:
        """Return the venue's own list: id and quantity of every order it ever received."""
        with self.sandbox.admin() as admin:
            return [(order["client_order_id"], order["qty"]) for order in admin.get("/orders").json()]

    def rejected(self) -> Counter[str]:
        """Return the counted rejections by reason."""
        return counter_by_label(self.execution.paths, "execution", "commands_rejected", "reason")

    def await_ready(self) -> None:
        eventually(self.execution.is_ready, within_s=READY_S_MAX)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExecutionWithSandbox]:
    with running_sandbox("--speed", "0") as sandbox:
        sandbox.set_quote("AAPL", "99.99", "100.01")
        execution = execution_beside(sandbox, tmp_path_factory.mktemp("x"))
        create_seal_key(execution.paths)
        made = ExecutionWithSandbox(execution, sandbox, SealKey(read_seal_key(execution.paths)))
        execution.start()
        try:
            made.await_ready()
            yield made
        finally:
            code = execution.terminate()
        assert code == 0, execution.log


def execution_beside(sandbox: SandboxProcess, state: Path) -> ComponentProcess:
    where = {
        "XTRADER__EXECUTION__ALPACA__TRADING_URL": sandbox.endpoints["trading_url"],
        "XTRADER__EXECUTION__ALPACA__STREAM_URL": sandbox.endpoints["stream_url"],
        "APCA_API_KEY_ID": sandbox.endpoints["key"],
        "APCA_API_SECRET_KEY": sandbox.endpoints["secret"],
    }
    return ComponentProcess("execution", state, where)


@contextmanager
def only_rejected(
    system: ExecutionWithSandbox, intent: Intent, *reasons: RejectReason, written: int = 0
) -> Iterator[None]:
    """Assert that a block is counted under these reasons and has no other effect; `intent` is the next order."""
    orders, records, rejected = system.orders(), system.records(), system.rejected()
    yield
    assert system.records()[: len(records)] == records
    assert len(system.records()) == len(records) + written
    # An order sent to the venue without a record would have arrived before the next order is filled.
    system.trade(intent)
    assert system.orders() == [*orders, (client_order_id(intent, 1), "1")]
    assert system.rejected() - rejected == Counter(reason.value for reason in reasons)


def rejection(reply: Acknowledgement) -> tuple[str, RejectReason]:
    """Return the command id of a rejection, as far as it was verified, and the reason."""
    assert isinstance(reply, Rejected), reply
    return reply.command_id, reply.reject_reason


def test_an_approval_becomes_one_order_that_fills(system: ExecutionWithSandbox) -> None:
    orders, intent = system.orders(), market_order_intent("valid")
    system.trade(intent)
    assert system.states(intent)[-1] is OrderState.FILLED
    assert system.orders() == [*orders, (client_order_id(intent, 1), "1")]


def altered_at(sixths: int) -> Callable[[SealKey, Intent], bytes]:
    """Flip one bit at this many sixths from the beginning."""

    def altered(key: SealKey, intent: Intent) -> bytes:
        frame = sealed_frame(intent, key)
        return with_flipped_bit(frame, len(frame) * sixths // 6)

    return altered


NOT_PROVEN: dict[str, tuple[Callable[[SealKey, Intent], bytes], RejectReason]] = {
    "forged with another key": (lambda key, intent: sealed_frame(intent, FOREIGN_KEY), RejectReason.FORGED),
    "altered in its first third": (altered_at(1), RejectReason.FORGED),
    "altered in its second third": (altered_at(3), RejectReason.FORGED),
    "altered in its last third": (altered_at(5), RejectReason.FORGED),
    "altered in its seal": (lambda key, intent: with_flipped_bit(sealed_frame(intent, key), -1), RejectReason.FORGED),
    "of another version": (lambda key, intent: with_flipped_bit(sealed_frame(intent, key), 0), RejectReason.VERSION),
    "cut short": (lambda key, intent: sealed_frame(intent, key)[:-1], RejectReason.FORGED),
    "nothing but a seal": (lambda key, intent: sealed_frame(intent, key)[-32:], RejectReason.MALFORMED),
    "for another account": (
        lambda key, intent: sealed_frame(intent, key, approval_terms(AccountId("paper"))),
        RejectReason.WRONG_ACCOUNT,
    ),
    "a forged control": (
        lambda key, intent: seal_control(CancelAll(CommandId("forged"), "mischief"), approval_terms(), FOREIGN_KEY),
        RejectReason.FORGED,
    ),
}


@pytest.mark.parametrize("name", NOT_PROVEN)
def test_a_frame_that_fails_verification_is_rejected_counted_and_without_effect(
    system: ExecutionWithSandbox, name: str
) -> None:
    make, reason = NOT_PROVEN[name]
    intent = market_order_intent(f"unproven-{list(NOT_PROVEN).index(name)}")
    # The same intent, sealed correctly, is accepted afterwards.
    with only_rejected(system, intent, reason):
        assert rejection(system.send(make(system.key, intent))) == ("", reason)


def test_an_expired_approval_is_never_sent_and_closes_its_intent(system: ExecutionWithSandbox) -> None:
    late = market_order_intent("late")
    frame = sealed_frame(late, system.key, approval_terms(ttl_ns=-1))
    with only_rejected(
        system,
        market_order_intent("after-late"),
        RejectReason.EXPIRED,
        RejectReason.EXPIRED,
        RejectReason.REPLAYED,
        written=1,
    ):
        for _ in range(2):
            assert rejection(system.send(frame)) == (late.intent_id, RejectReason.EXPIRED)
        assert system.states(late) == [OrderState.NEVER_SENT]
        assert rejection(system.send(sealed_frame(late, system.key))) == (late.intent_id, RejectReason.REPLAYED)


def test_a_replayed_approval_gets_its_first_reply_and_no_second_order(system: ExecutionWithSandbox) -> None:
    intent = market_order_intent("replayed")
    frame = sealed_frame(intent, system.key, approval_terms(ttl_ns=2 * APPROVAL_TTL_NS))
    first = system.send(frame)
    assert isinstance(first, Accepted), first
    eventually(lambda: OrderState.FILLED in system.states(intent))
    with only_rejected(system, market_order_intent("after-replayed"), RejectReason.REPLAYED):
        assert system.send(frame) == first
    system.execution.kill()
    system.execution.start()
    system.await_ready()
    with only_rejected(system, market_order_intent("after-restart"), RejectReason.REPLAYED):
        assert system.send(frame) == first


def test_an_intent_id_is_accepted_once_whatever_is_approved_under_it(system: ExecutionWithSandbox) -> None:
    intent = market_order_intent("taken")
    system.trade(intent)
    with only_rejected(system, market_order_intent("after-taken"), RejectReason.REPLAYED):
        another = sealed_frame(market_order_intent("taken", quantity=Decimal(2)), system.key)
        assert rejection(system.send(another)) == (intent.intent_id, RejectReason.REPLAYED)
