"""The end of a run: whether everybody tells the same story, and whether the journals alone tell it again."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from components.contracts.trading import TradingState
from components.contracts.values import ZERO, AccountId, Symbol
from components.execution.core.state import ExecutionState
from components.execution.wiring import replay
from components.risk.core.audit import audit
from components.risk.core.fold import replay as replay_risk
from components.risk.core.state import RiskState, encode_state
from components.risk.service.gate import RiskService
from components.risk.wiring import read_log
from components.runtime.journal import Journal, verify
from components.xtrader.simulation.books import Books
from components.xtrader.simulation.host import Host, Incarnation
from components.xtrader.simulation.process import PLACES, SimulatedProcess
from components.xtrader.simulation.settings import ACCOUNT
from components.xtrader.simulation.venue import VenueLine
from components.xtrader.simulation.witness import PromiseBroken, Witness

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


class Reckoning:
    """Holds the four processes, the two journals and the venue's books against each other."""

    def __init__(self, hosts: Mapping[str, Host], books: Books, line: VenueLine, witness: Witness) -> None:
        self._hosts, self._books, self._line, self._witness = hosts, books, line, witness

    def unsettled(self) -> str:
        """Name what is not right yet; empty when all is quiet and equal."""
        return next((question for ask in self._questions() if (question := ask())), "")

    def close(self) -> None:
        """Cut the power for good, then read both journals again."""
        orders, risk = self._orders(), self._risk()
        for host in self._hosts.values():
            host.end()
            host.machine.disk.lose_power()
        self._check_orders(orders)
        self._check_risk(risk)

    def _questions(self) -> Iterator[Callable[[], str]]:
        return iter((self._who_is_not_ready, self._what_is_open, self._what_differs, self._what_is_halted))

    def _who_is_not_ready(self) -> str:
        for name, host in self._hosts.items():
            life = host.life
            if life is None or life.service is None:
                return f"{name} is not running"
            if not life.is_idle():
                return f"{name} waits for its disk"
            if unmet := life.service.unmet(host.machine.clock.now_ns()):
                return f"{name} waits for {'; '.join(unmet)}"
        return ""

    def _what_is_open(self) -> str:
        orders, risk = self._orders(), self._risk()
        unfinished = [f"{order.client_order_id} {order.state}" for order in orders.open_orders()]
        live = [f"{name} {order.state or 'in the outbox'}" for name, order in risk.orders.items()]
        working = [order.terms.client_order_id for order in self._books.working()]
        found: dict[str, list[str]] = {"execution": unfinished, "risk": live, "the venue": [*working]}
        open_somewhere = [f"{name} has {', '.join(names)}" for name, names in found.items() if names]
        if self._line.pending:
            open_somewhere.append(f"{self._line.pending} requests on their way")
        return "; ".join(open_somewhere)

    def _what_differs(self) -> str:
        venue = _held(self._books.positions)
        execution, risk = _held(self._orders().positions), _held(self._risk().positions())
        if not venue == execution == risk:
            return f"positions: venue {venue}, execution {execution}, risk {risk}"
        for standing in self._books.orders.values():
            order = self._orders().of_venue_id(standing.venue_order_id)
            if order is None or (order.filled, order.state) != (standing.filled, standing.state):
                known = "unknown" if order is None else f"{order.filled} {order.state}"
                return (
                    f"{standing.terms.client_order_id}: {standing.filled} {standing.state} at the venue, {known} here"
                )
        return ""

    def _what_is_halted(self) -> str:
        risk = self._risk()
        if risk.trading_state is TradingState.ACTIVE:
            return ""
        return f"risk is {risk.trading_state}: {', '.join(f'{cause} ({why})' for cause, why in risk.causes.items())}"

    def _check_orders(self, live: ExecutionState) -> None:
        first, again = (replay(self._opened("execution").records()) for _ in range(2))
        if not _plain(live) == _plain(first) == _plain(again):
            raise PromiseBroken("execution's journal tells another story than execution")

    def _check_risk(self, live: RiskState) -> None:
        journal = self._opened("risk")
        fresh = RiskState(account=AccountId(ACCOUNT), journal_id=journal.journal_id)
        first, again = (replay_risk(fresh, read_log(journal.records())) for _ in range(2))
        if not encode_state(live) == encode_state(first) == encode_state(again):
            raise PromiseBroken("risk's log tells another story than risk")
        found = audit(read_log(journal.records()), judge_again=True)
        if not found.ok:
            raise PromiseBroken(f"judged again, records {found.unconfirmed} of risk's log come out differently")

    def _opened(self, name: str) -> Journal:
        host = self._hosts[name]
        host.end()
        found = verify(PLACES.journal(name), disk=host.machine.disk)
        if not found.ok:
            raise PromiseBroken(f"{name}: {found.problem}")
        journal = SimulatedProcess(name, host.machine).journal()
        self._witness.on_opened(name, (record.payload for record in journal.records()))
        return journal

    def _orders(self) -> ExecutionState:
        orders = self._life("execution").process.orders
        if orders is None:
            raise PromiseBroken("execution was wired without its orders")
        return orders

    def _risk(self) -> RiskState:
        service = self._life("risk").service
        if not isinstance(service, RiskService):
            raise PromiseBroken("risk was wired as something else")
        return service.state

    def _life(self, name: str) -> Incarnation:
        life = self._hosts[name].life
        if life is None:
            raise PromiseBroken(f"{name} is not running")
        return life


def _held(positions: Mapping[Symbol, Decimal]) -> dict[Symbol, Decimal]:
    return {symbol: positions[symbol] for symbol in sorted(positions) if positions[symbol] != ZERO}


def _plain(state: ExecutionState) -> bytes:
    return _encode(vars(state))
