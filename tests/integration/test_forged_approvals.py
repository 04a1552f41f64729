"""What was not approved here and now becomes no order, whatever is sent to the real socket of a real execution."""

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
"""What execution writes down without being asked."""


@dataclass(frozen=True)
class Desk:
    """A real execution beside a real venue, and the key that risk would seal with."""

    execution: ComponentProcess
    sandbox: SandboxProcess
    key: SealKey

    def send(self, frame: bytes) -> Acknowledgement:
        """Hand a frame over as risk does, and give the answer."""
        answer: Acknowledgement = request_once(self.execution.paths.run, COMMANDS, frame, int(scaled(ANSWER_MS_MAX)))
        return answer

    def trade(self, intent: Intent) -> Accepted:
        """Hand an approval over that nothing is wrong with, and wait until it is filled."""
        answer = self.send(sealed_frame(intent, self.key))
        assert isinstance(answer, Accepted), answer
        assert answer == Accepted(CommandId(intent.intent_id), answer.sequence)
        eventually(lambda: OrderState.FILLED in self.states(intent))
        return answer

    def records(self) -> list[Any]:
        """Give what the journal holds because somebody asked for it."""
        decode, folder = message_decoder(ORDERS), self.execution.paths.journal("execution")
        found = [decode(record.payload) for record in reader.read_records(folder)]
        return [record for record in found if not isinstance(record, BY_ITSELF)]

    def states(self, intent: Intent) -> list[OrderState]:
        """Give the states that the journal says an intent came through."""
        updates = (record for record in self.records() if isinstance(record, OrderUpdated))
        return [update.state for update in updates if update.intent_id == intent.intent_id]

    def orders(self) -> list[tuple[str, str]]:
        """Give the venue's own list: the name and the quantity of every order there ever was."""
        with self.sandbox.admin() as admin:
            return [(order["client_order_id"], order["qty"]) for order in admin.get("/orders").json()]

    def refused(self) -> Counter[str]:
        """Give what execution counted, by fault."""
        return counter_by_label(self.execution.paths, "execution", "commands_rejected", "reason")

    def await_ready(self) -> None:
        eventually(self.execution.is_ready, within_s=READY_S_MAX)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_sandbox("--speed", "0") as sandbox:
        sandbox.set_quote("AAPL", "99.99", "100.01")
        execution = execution_beside(sandbox, tmp_path_factory.mktemp("x"))
        create_seal_key(execution.paths)
        made = Desk(execution, sandbox, SealKey(read_seal_key(execution.paths)))
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
def only_counted(desk: Desk, intent: Intent, *faults: RejectReason, written: int = 0) -> Iterator[None]:
    """Claim that a block is counted under these faults and does no more; the order after it, `intent`, is the next."""
    orders, records, refused = desk.orders(), desk.records(), desk.refused()
    yield
    assert desk.records()[: len(records)] == records
    assert len(desk.records()) == len(records) + written
    # What left for the venue without being written down would have arrived before the next order is filled.
    desk.trade(intent)
    assert desk.orders() == [*orders, (client_order_id(intent, 1), "1")]
    assert desk.refused() - refused == Counter(fault.value for fault in faults)


def refusal(answer: Acknowledgement) -> tuple[str, RejectReason]:
    """Give whose frame was refused, as far as that is proven, and why."""
    assert isinstance(answer, Rejected), answer
    return answer.command_id, answer.reject_reason


def test_an_approval_becomes_one_order_that_fills(desk: Desk) -> None:
    orders, intent = desk.orders(), market_order_intent("valid")
    desk.trade(intent)
    assert desk.states(intent)[-1] is OrderState.FILLED
    assert desk.orders() == [*orders, (client_order_id(intent, 1), "1")]


def altered_at(sixths: int) -> Callable[[SealKey, Intent], bytes]:
    """Flip one bit so many sixths from the beginning."""

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
def test_what_is_not_proven_is_refused_and_counted_and_touches_nothing(desk: Desk, name: str) -> None:
    make, fault = NOT_PROVEN[name]
    intent = market_order_intent(f"unproven-{list(NOT_PROVEN).index(name)}")
    # The same wish, sealed as it should be, is the one that passes afterwards.
    with only_counted(desk, intent, fault):
        assert refusal(desk.send(make(desk.key, intent))) == ("", fault)


def test_an_expired_approval_is_never_sent_and_its_intent_never_will_be(desk: Desk) -> None:
    late = market_order_intent("late")
    frame = sealed_frame(late, desk.key, approval_terms(ttl_ns=-1))
    with only_counted(
        desk,
        market_order_intent("after-late"),
        RejectReason.EXPIRED,
        RejectReason.EXPIRED,
        RejectReason.REPLAYED,
        written=1,
    ):
        for _ in range(2):
            assert refusal(desk.send(frame)) == (late.intent_id, RejectReason.EXPIRED)
        assert desk.states(late) == [OrderState.NEVER_SENT]
        assert refusal(desk.send(sealed_frame(late, desk.key))) == (late.intent_id, RejectReason.REPLAYED)


def test_a_replayed_approval_gets_its_first_answer_and_no_second_order(desk: Desk) -> None:
    intent = market_order_intent("replayed")
    frame = sealed_frame(intent, desk.key, approval_terms(ttl_ns=2 * APPROVAL_TTL_NS))
    first = desk.send(frame)
    assert isinstance(first, Accepted), first
    eventually(lambda: OrderState.FILLED in desk.states(intent))
    with only_counted(desk, market_order_intent("after-replayed"), RejectReason.REPLAYED):
        assert desk.send(frame) == first
    desk.execution.kill()
    desk.execution.start()
    desk.await_ready()
    with only_counted(desk, market_order_intent("after-restart"), RejectReason.REPLAYED):
        assert desk.send(frame) == first


def test_an_intent_id_is_not_taken_twice_whatever_is_approved_under_it(desk: Desk) -> None:
    intent = market_order_intent("taken")
    desk.trade(intent)
    with only_counted(desk, market_order_intent("after-taken"), RejectReason.REPLAYED):
        another = sealed_frame(market_order_intent("taken", quantity=Decimal(2)), desk.key)
        assert refusal(desk.send(another)) == (intent.intent_id, RejectReason.REPLAYED)
