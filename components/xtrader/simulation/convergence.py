"""Checks at the end of a run: all processes and the venue agree, and the journals alone reproduce the state."""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Final

import msgspec

from components.contracts.trading import TradingState
from components.contracts.values import ZERO, AccountId, Symbol
from components.execution.core.state import ExecutionState
from components.execution.wiring import replay
from components.risk.core.account_state import RiskState, encode_state
from components.risk.core.checks.evaluation import audit_log
from components.risk.core.projection import replay as replay_risk
from components.risk.service.risk_service import RiskService
from components.risk.wiring import read_log
from components.runtime.journal.journal import Journal
from components.runtime.journal.reader import verify_journal
from components.xtrader.simulation.exchange import SimulatedExchange
from components.xtrader.simulation.invariants import InvariantChecker, InvariantViolated
from components.xtrader.simulation.node import Node, NodeRun
from components.xtrader.simulation.process import PATHS, SimulatedProcess
from components.xtrader.simulation.settings import ACCOUNT
from components.xtrader.simulation.venue import SimulatedVenueApi

_encode: Final = msgspec.msgpack.Encoder(order="deterministic").encode


class ConvergenceChecker:
    """Compares the four processes, the two journals and the venue's orders and positions with each other."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        exchange: SimulatedExchange,
        venue_api: SimulatedVenueApi,
        checker: InvariantChecker,
    ) -> None:
        self._nodes, self._exchange, self._venue_api, self._checker = nodes, exchange, venue_api, checker

    def first_difference(self) -> str:
        """Return the first condition that does not hold yet; empty when everything has settled and agrees."""
        return next((difference for check in self._checks() if (difference := check())), "")

    def verify_journals(self) -> None:
        """Cut the power for good, then replay both journals and compare the result with the live state."""
        orders, risk = self._execution_state(), self._risk_state()
        for node in self._nodes.values():
            node.kill()
            node.resources.disk.lose_power()
        self._verify_execution_journal(orders)
        self._verify_risk_journal(risk)

    def _checks(self) -> Iterator[Callable[[], str]]:
        return iter((self._unready_node, self._open_orders, self._state_difference, self._trading_halt))

    def _unready_node(self) -> str:
        for name, node in self._nodes.items():
            node_run = node.current_run
            if node_run is None or node_run.service is None:
                return f"{name} is not running"
            if not node_run.is_idle():
                return f"{name} waits for its disk"
            if unmet := node_run.service.unmet(node.resources.clock.now_ns()):
                return f"{name} waits for {'; '.join(unmet)}"
        return ""

    def _open_orders(self) -> str:
        orders, risk = self._execution_state(), self._risk_state()
        open_orders = [f"{order.client_order_id} {order.state}" for order in orders.open_orders()]
        live = [f"{name} {order.state or 'in the outbox'}" for name, order in risk.orders.items()]
        working = [order.terms.client_order_id for order in self._exchange.working_orders()]
        found: dict[str, list[str]] = {"execution": open_orders, "risk": live, "the venue": [*working]}
        open_somewhere = [f"{name} has {', '.join(names)}" for name, names in found.items() if names]
        if self._venue_api.pending_requests:
            open_somewhere.append(f"{self._venue_api.pending_requests} requests in flight")
        return "; ".join(open_somewhere)

    def _state_difference(self) -> str:
        venue = _nonzero(self._exchange.positions)
        execution, risk = _nonzero(self._execution_state().positions), _nonzero(self._risk_state().positions())
        if not venue == execution == risk:
            return f"positions: venue {venue}, execution {execution}, risk {risk}"
        for venue_order in self._exchange.orders.values():
            order = self._execution_state().order_by_venue_id(venue_order.venue_order_id)
            if order is None or (order.filled, order.state) != (venue_order.filled, venue_order.state):
                ours = "unknown" if order is None else f"{order.filled} {order.state}"
                venues = f"{venue_order.filled} {venue_order.state}"
                return f"{venue_order.terms.client_order_id}: {venues} at the venue, {ours} here"
        return ""

    def _trading_halt(self) -> str:
        risk = self._risk_state()
        if risk.trading_state is TradingState.ACTIVE:
            return ""
        return (
            f"risk is {risk.trading_state}: {', '.join(f'{cause} ({reason})' for cause, reason in risk.causes.items())}"
        )

    def _verify_execution_journal(self, live: ExecutionState) -> None:
        first, again = (replay(self._reopened_journal("execution").records()) for _ in range(2))
        if not _encoded(live) == _encoded(first) == _encoded(again):
            raise InvariantViolated("a replay of execution's journal does not give the state that execution had")

    def _verify_risk_journal(self, live: RiskState) -> None:
        journal = self._reopened_journal("risk")
        fresh = RiskState(account=AccountId(ACCOUNT), journal_id=journal.journal_id)
        first, again = (replay_risk(fresh, read_log(journal.records())) for _ in range(2))
        if not encode_state(live) == encode_state(first) == encode_state(again):
            raise InvariantViolated("a replay of risk's log does not give the state that risk had")
        result = audit_log(read_log(journal.records()), re_evaluate_decisions=True)
        if not result.ok:
            raise InvariantViolated(
                f"risk's log: evaluated again, the decisions in records {result.not_reproduced} have another result"
            )

    def _reopened_journal(self, name: str) -> Journal:
        node = self._nodes[name]
        node.kill()
        result = verify_journal(PATHS.journal(name), disk=node.resources.disk)
        if not result.ok:
            raise InvariantViolated(f"{name}: {result.problem}")
        journal = SimulatedProcess(name, node.resources).open_journal()
        self._checker.on_journal_opened(name, (record.payload for record in journal.records()))
        return journal

    def _execution_state(self) -> ExecutionState:
        orders = self._current_run("execution").process.execution_state
        if orders is None:
            raise InvariantViolated("execution was wired without its state")
        return orders

    def _risk_state(self) -> RiskState:
        service = self._current_run("risk").service
        if not isinstance(service, RiskService):
            raise InvariantViolated("the service of risk is not a RiskService")
        return service.state

    def _current_run(self, name: str) -> NodeRun:
        node_run = self._nodes[name].current_run
        if node_run is None:
            raise InvariantViolated(f"{name} is not running")
        return node_run


def _nonzero(positions: Mapping[Symbol, Decimal]) -> dict[Symbol, Decimal]:
    return {symbol: positions[symbol] for symbol in sorted(positions) if positions[symbol] != ZERO}


def _encoded(state: ExecutionState) -> bytes:
    return _encode(vars(state))
