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
from components.contracts.commands import Accepted, Acknowledgement, CancelAll, Fault, Refused
from components.contracts.orders import OrderState, OrderUpdated, Reconciled, VenueChanged, client_order_id
from components.contracts.signals import Intent
from components.contracts.topics import COMMANDS, ORDERS
from components.contracts.values import AccountId, CommandId
from components.runtime import journal
from components.runtime.bus import ask
from components.runtime.codec import decoder_of
from components.runtime.secrets import make_seal, read_seal
from tests.support.approvals import FOREIGN_KEY, LIFE_NS, sealed, terms, wish, with_flipped_bit
from tests.support.components import RunningComponent, counted
from tests.support.eventually import eventually
from tests.support.sandbox import RunningSandbox, running_sandbox

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(60)]

ANSWER_MS_MAX = 5_000
READY_S_MAX = 20
BY_ITSELF = (Reconciled, VenueChanged)
"""What execution writes down without being asked."""


@dataclass(frozen=True)
class Desk:
    """A real execution beside a real venue, and the key that risk would seal with."""

    execution: RunningComponent
    sandbox: RunningSandbox
    key: SealKey

    def send(self, frame: bytes) -> Acknowledgement:
        """Hand a frame over as risk does, and give the answer."""
        answer: Acknowledgement = ask(self.execution.places.run, COMMANDS, frame, ANSWER_MS_MAX)
        return answer

    def trade(self, intent: Intent) -> Accepted:
        """Hand an approval over that nothing is wrong with, and wait until it is filled."""
        answer = self.send(sealed(intent, self.key))
        assert isinstance(answer, Accepted), answer
        assert answer == Accepted(CommandId(intent.intent_id), answer.sequence)
        eventually(lambda: OrderState.FILLED in self.states(intent))
        return answer

    def records(self) -> list[Any]:
        """Give what the journal holds because somebody asked for it."""
        decode, folder = decoder_of(ORDERS), self.execution.places.journal("execution")
        found = [decode(record.payload) for record in journal.read(folder)]
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
        return counted(self.execution.places, "execution", "frames_refused", "fault")

    def await_ready(self) -> None:
        eventually(self.execution.is_ready, within_s=READY_S_MAX)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with running_sandbox("--speed", "0") as sandbox:
        sandbox.set_quote("AAPL", "99.99", "100.01")
        execution = execution_beside(sandbox, tmp_path_factory.mktemp("x"))
        make_seal(execution.places)
        made = Desk(execution, sandbox, SealKey(read_seal(execution.places)))
        execution.start()
        try:
            made.await_ready()
            yield made
        finally:
            code = execution.end()
        assert code == 0, execution.log


def execution_beside(sandbox: RunningSandbox, state: Path) -> RunningComponent:
    where = {
        "XTRADER__EXECUTION__ALPACA__TRADING_URL": sandbox.where["trading_url"],
        "XTRADER__EXECUTION__ALPACA__STREAM_URL": sandbox.where["stream_url"],
        "APCA_API_KEY_ID": sandbox.where["key"],
        "APCA_API_SECRET_KEY": sandbox.where["secret"],
    }
    return RunningComponent("execution", state, where)


@contextmanager
def only_counted(desk: Desk, intent: Intent, *faults: Fault, written: int = 0) -> Iterator[None]:
    """Claim that a block is counted under these faults and does no more; the order after it, `intent`, is the next."""
    orders, records, refused = desk.orders(), desk.records(), desk.refused()
    yield
    assert desk.records()[: len(records)] == records
    assert len(desk.records()) == len(records) + written
    # What left for the venue without being written down would have arrived before the next order is filled.
    desk.trade(intent)
    assert desk.orders() == [*orders, (client_order_id(intent, 1), "1")]
    assert desk.refused() - refused == Counter(fault.value for fault in faults)


def refusal(answer: Acknowledgement) -> tuple[str, Fault]:
    """Give whose frame was refused, as far as that is proven, and why."""
    assert isinstance(answer, Refused), answer
    return answer.command_id, answer.fault


def test_an_approval_becomes_one_order_that_fills(desk: Desk) -> None:
    orders, intent = desk.orders(), wish("valid")
    desk.trade(intent)
    assert desk.states(intent)[-1] is OrderState.FILLED
    assert desk.orders() == [*orders, (client_order_id(intent, 1), "1")]


def altered_at(sixths: int) -> Callable[[SealKey, Intent], bytes]:
    """Flip one bit so many sixths from the beginning."""

    def altered(key: SealKey, intent: Intent) -> bytes:
        frame = sealed(intent, key)
        return with_flipped_bit(frame, len(frame) * sixths // 6)

    return altered


NOT_PROVEN: dict[str, tuple[Callable[[SealKey, Intent], bytes], Fault]] = {
    "forged with another key": (lambda key, intent: sealed(intent, FOREIGN_KEY), Fault.FORGED),
    "altered in its first third": (altered_at(1), Fault.FORGED),
    "altered in its second third": (altered_at(3), Fault.FORGED),
    "altered in its last third": (altered_at(5), Fault.FORGED),
    "altered in its seal": (lambda key, intent: with_flipped_bit(sealed(intent, key), -1), Fault.FORGED),
    "of another version": (lambda key, intent: with_flipped_bit(sealed(intent, key), 0), Fault.VERSION),
    "cut short": (lambda key, intent: sealed(intent, key)[:-1], Fault.FORGED),
    "nothing but a seal": (lambda key, intent: sealed(intent, key)[-32:], Fault.MALFORMED),
    "for another account": (
        lambda key, intent: sealed(intent, key, terms(AccountId("paper"))),
        Fault.WRONG_ACCOUNT,
    ),
    "a forged control": (
        lambda key, intent: seal_control(CancelAll(CommandId("forged"), "mischief"), terms(), FOREIGN_KEY),
        Fault.FORGED,
    ),
}


@pytest.mark.parametrize("name", NOT_PROVEN)
def test_what_is_not_proven_is_refused_and_counted_and_touches_nothing(desk: Desk, name: str) -> None:
    make, fault = NOT_PROVEN[name]
    intent = wish(f"unproven-{list(NOT_PROVEN).index(name)}")
    # The same wish, sealed as it should be, is the one that passes afterwards.
    with only_counted(desk, intent, fault):
        assert refusal(desk.send(make(desk.key, intent))) == ("", fault)


def test_an_expired_approval_is_never_sent_and_its_intent_never_will_be(desk: Desk) -> None:
    late = wish("late")
    frame = sealed(late, desk.key, terms(life_ns=-1))
    with only_counted(desk, wish("after-late"), Fault.EXPIRED, Fault.EXPIRED, Fault.REPLAYED, written=1):
        for _ in range(2):
            assert refusal(desk.send(frame)) == (late.intent_id, Fault.EXPIRED)
        assert desk.states(late) == [OrderState.NEVER_SENT]
        assert refusal(desk.send(sealed(late, desk.key))) == (late.intent_id, Fault.REPLAYED)


def test_a_replayed_approval_gets_its_first_answer_and_no_second_order(desk: Desk) -> None:
    intent = wish("replayed")
    frame = sealed(intent, desk.key, terms(life_ns=2 * LIFE_NS))
    first = desk.send(frame)
    assert isinstance(first, Accepted), first
    eventually(lambda: OrderState.FILLED in desk.states(intent))
    with only_counted(desk, wish("after-replayed"), Fault.REPLAYED):
        assert desk.send(frame) == first
    desk.execution.kill()
    desk.execution.start()
    desk.await_ready()
    with only_counted(desk, wish("after-restart"), Fault.REPLAYED):
        assert desk.send(frame) == first


def test_an_intent_id_is_not_taken_twice_whatever_is_approved_under_it(desk: Desk) -> None:
    intent = wish("taken")
    desk.trade(intent)
    with only_counted(desk, wish("after-taken"), Fault.REPLAYED):
        another = sealed(wish("taken", quantity=Decimal(2)), desk.key)
        assert refusal(desk.send(another)) == (intent.intent_id, Fault.REPLAYED)
