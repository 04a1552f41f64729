"""Hears markets, orders and requests; judges, writes down, hands over; no I/O."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final, assert_never

from components.contracts.approval import SealKey
from components.contracts.commands import Accepted, CancelAll, Fault, Refused, SetTradingState, Withdraw
from components.contracts.decisions import (
    Action,
    CauseCleared,
    CauseRaised,
    Decision,
    DecisionMessage,
    HandoverRefused,
    Judge,
    LogOpened,
    NotUnderstood,
    Operate,
    Operated,
    OrderEventApplied,
    ShowAccount,
)
from components.contracts.errors import DamagedData, InvariantError
from components.contracts.positions import ProfitAndLoss
from components.contracts.signals import Intent
from components.contracts.topics import COMMANDS, MARKET, ORDERS, POSITIONS, Stream
from components.contracts.trading import Cause
from components.contracts.values import ZERO, CommandId, IntentId, Money, Place
from components.risk.core.account import account_of, changes, position_of, result_of, status_of
from components.risk.core.causes import Reasons, alarms, blockers, missing_end, present, raising, settling, waiting
from components.risk.core.checks import NS_PER_MS
from components.risk.core.fold import apply, verdict_of
from components.risk.core.judge import decide
from components.risk.core.limits import Limits, Timing
from components.risk.core.memory import digest_of
from components.risk.core.operator import clearing, halting, hindrance
from components.risk.core.orders import unsent
from components.risk.core.outbox import MakeControl, Outbox, to_hand_over
from components.risk.core.state import RiskState
from components.risk.core.surroundings import Surroundings
from components.runtime.metrics import Metrics
from components.runtime.service import (
    Acked,
    Append,
    Asked,
    Effect,
    Effects,
    Halt,
    HandOver,
    Heard,
    Inbound,
    Joined,
    Lost,
    Note,
    Observe,
    Publish,
    Reply,
)

OPERATED_MAX: Final = 256
"""So many answers to operators are remembered, for requests that come twice."""

TRY_AGAIN: Final = frozenset({Fault.EXPIRED, Fault.NOT_ACCEPTING})
"""Execution may accept the same later, or tells on `orders` that it was never sent."""


class RiskService:
    """The only gate between a wish and an order."""

    def __init__(
        self, *, limits: Limits, timing: Timing, key: SealKey, state: RiskState, metrics: Metrics, version: str
    ) -> None:
        self._limits, self._timing, self._state, self._version = limits, timing, state, version
        self._around = Surroundings(limits, timing)
        self._outbox = Outbox(key, timing)
        self._counts = _Counts(metrics)
        self._operated: dict[CommandId, Operated] = {}
        self._result: tuple[Money, Money] = (ZERO, ZERO)
        self._result_due_ns = 0
        self._is_stopping = False

    def on_start(self, now_ns: int) -> Effects:
        """Open the log's next chapter: halted, until evidence says otherwise."""
        self._around.see_time(now_ns)
        limits = self._limits
        opened = LogOpened(self._state.account, limits.version, self._version, now_ns, limits.text)
        return [self._write(opened), Publish(POSITIONS, status_of(self._state, now_ns))]

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Hear one thing."""
        match message:
            case Heard(stream=stream) if stream.name == MARKET.name:
                self._around.hear_market(message.body, message.place)
                return ()
            case Heard():
                return self._on_order_event(message.place, message.body, now_ns)
            case Asked(ticket=ticket, body=body):
                return self._on_request(ticket, body, now_ns)
            case Joined():
                return self._on_joined(message, now_ns)
            case Lost():
                return self._on_lost(message, now_ns)
            case Acked(body=body):
                return self._on_acknowledged(body, now_ns)
            case _:
                raise InvariantError(f"risk hears no {type(message).__name__}")

    def on_tick(self, now_ns: int) -> Effects:
        """Weigh the evidence, hand over again what is due, cancel what is too old, tell the result."""
        self._around.see_time(now_ns)
        effects = self._settle(now_ns)
        if self._around.orders_lost is None:
            effects += [HandOver(COMMANDS, frame) for frame in self._outbox.due(self._state, now_ns)]
        effects += self._tell_result(now_ns)
        return effects

    def on_stop(self, now_ns: int) -> Effects:
        """Refuse entries from now on; what was approved is still handed over."""
        self._is_stopping = True
        self._around.see_time(now_ns)
        return (Note("intake_stopped", {"outbox": len(self._state.outbox)}),)

    def is_drained(self) -> bool:
        """Say whether nothing is left that execution could take now."""
        if self._around.orders_lost is not None:
            return True
        return not to_hand_over(self._state, self._around.seen_ns)

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Give every position, the result and the trading state."""
        if stream.name != POSITIONS.name:
            raise InvariantError(f"risk does not say {stream.name}")
        state, now_ns = self._state, self._around.seen_ns
        positions = (position_of(one, now_ns) for one in state.exposures.values())
        return (*positions, result_of(state, self._around, now_ns), status_of(state, now_ns))

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Name what readiness waits for; the log was replayed before this object was made."""
        return waiting(self._state, self._around, self._timing, now_ns)

    def _on_request(self, ticket: bytes, request: object, now_ns: int) -> Effects:
        match request:
            case Judge(intent=intent):
                return self._judge(ticket, intent, now_ns)
            case Operate():
                return self._operate(ticket, request, now_ns)
            case ShowAccount(request_id=request_id):
                result = result_of(self._state, self._around, now_ns)
                return (Reply(ticket, account_of(self._state, result, request_id)),)
            case _:
                return (Reply(ticket, NotUnderstood(f"risk answers no {type(request).__name__}")),)

    def _judge(self, ticket: bytes, intent: Intent, now_ns: int) -> Effects:
        known = self._state.memory.find(intent.intent_id)
        if known is not None and known.digest == digest_of(intent):
            self._counts.repeats.inc()
            return (Reply(ticket, known.verdict),)
        effects = self._settle(now_ns)
        state = self._state
        facts = self._around.facts(intent.symbol, now_ns, tuple(state.causes), is_stopping=self._is_stopping)
        decision = decide(intent, facts, self._limits, state, self._timing.approval_ttl_ms * NS_PER_MS)
        effects.append(self._write(decision))
        self._counts.decided(decision)
        if decision.allowed:
            order = self._state.orders[intent.intent_id]
            effects.append(HandOver(COMMANDS, self._outbox.approval(order, now_ns)))
        effects.append(Reply(ticket, verdict_of(decision, self._state.last_sequence)))
        effects.append(Observe(self._counts.decision_seconds.observe, now_ns))
        effects.append(self._told(decision, now_ns))
        return effects

    def _told(self, decision: Decision, now_ns: int) -> Effect:
        intent = decision.intent
        if decision.allowed:
            return Publish(POSITIONS, position_of(self._state.exposure(intent.symbol), now_ns))
        refusals = {str(one.code): f"{one.observed}, limit {one.limit}" for one in decision.refusals}
        return Note("intent_refused", {"intent_id": intent.intent_id, **refusals})

    def _on_order_event(self, place: Place, event: Any, now_ns: int) -> Effects:  # noqa: ANN401 -- any order message
        before, known = self._state, self._state.orders_place
        if known is not None and place.epoch != known.epoch:
            return self._diverge(f"orders come from journal {place.epoch}, not {known.epoch}", now_ns)
        if known is not None and place.sequence <= known.sequence:
            return ()
        if known is not None and place.sequence != known.sequence + 1:
            raise InvariantError(f"order event {place.sequence} after {known.sequence}")
        if missing := missing_end(before, event):
            return (
                Halt(DamagedData(f"risk's log lost its end: execution acted on {missing}, which it does not hold")),
            )
        effects = self._raise(alarms(before, event), now_ns)
        effects.append(self._write(OrderEventApplied(place, event, now_ns)))
        effects += [Publish(POSITIONS, one) for one in changes(before, self._state, now_ns)]
        self._counts.lag_seconds.set(max(now_ns - event.at_ns, 0) / 1e9)
        return [*effects, *self._settle(now_ns)]

    def _on_joined(self, joined: Joined, now_ns: int) -> Effects:
        known = self._state.orders_place
        if joined.stream.name == MARKET.name:
            self._around.join_market(joined.place, joined.messages)
        elif joined.stream.name == ORDERS.name:
            if known is not None and joined.place.epoch != known.epoch:
                return self._diverge(f"orders come from journal {joined.place.epoch}, not {known.epoch}", now_ns)
            self._around.join_orders()
            self._outbox.hurry()
            effects = [*self._settle(now_ns), self._tell_execution(now_ns)]
            if (halted := self._state.causes.get(Cause.OPERATOR_HALT)) is not None:
                # What the halt asked for may have been lost with us, or with execution.
                effects += self._stand_down(halted, now_ns)
            return effects
        return self._settle(now_ns)

    def _on_lost(self, lost: Lost, now_ns: int) -> Effects:
        if lost.stream.name == MARKET.name:
            self._around.lose_market(lost.reason)
        elif lost.stream.name == ORDERS.name:
            self._around.lose_orders(lost.reason, self._state.last_sequence)
            if lost.is_foreign:
                return self._diverge(f"orders: {lost.reason}", now_ns)
        return self._settle(now_ns)

    def _on_acknowledged(self, answer: object, now_ns: int) -> Effects:
        match answer:
            case Accepted(command_id=command_id):
                self._outbox.settle(command_id)
                return ()
            case Refused():
                return self._on_handover_refused(answer, now_ns)
            case _:
                raise InvariantError(f"execution acknowledges with no {type(answer).__name__}")

    def _on_handover_refused(self, refused: Refused, now_ns: int) -> Effects:
        self._counts.handovers_refused.labels(refused.fault).inc()
        if refused.fault in TRY_AGAIN:
            return ()
        self._outbox.settle(refused.command_id)
        if refused.fault is Fault.REPLAYED:
            # Execution has had it before: what became of it, `orders` tells.
            return (Note("handover_replayed", {"command_id": refused.command_id, "detail": refused.detail}),)
        effects: list[Effect] = []
        intent_id = IntentId(refused.command_id)
        order = self._state.orders.get(intent_id)
        if order is not None and order.state is None:
            effects.append(self._write(HandoverRefused(intent_id, refused.fault, refused.detail, now_ns)))
            effects.append(Publish(POSITIONS, position_of(self._state.exposure(order.symbol), now_ns)))
        told = f"execution refused our own frame {refused.command_id}: {refused.fault}: {refused.detail}"
        return [*effects, *self._diverge(told, now_ns)]

    def _operate(self, ticket: bytes, request: Operate, now_ns: int) -> Effects:
        if (known := self._operated.get(request.command_id)) is not None:
            return (Reply(ticket, known),)
        match request.action:
            case Action.HALT:
                effects, detail = self._halt(request.reason, now_ns)
            case Action.CANCEL_ALL:
                effects, detail = [self._cancel_all(request.reason, now_ns)], ""
            case Action.RESUME:
                effects, detail = self._resume(request.reason, now_ns)
            case _:
                assert_never(request.action)
        answer = Operated(request.command_id, not detail, detail or f"{request.action}: {self._state.trading_state}")
        self._remember(answer)
        facts = {"action": str(request.action), "reason": request.reason, "done": answer.done, "detail": answer.detail}
        return [*effects, Reply(ticket, answer), Note("operator_asked", facts, "warning")]

    def _halt(self, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        if not reason:
            return [], "a halt needs a reason"
        effects = self._record(halting(self._state, reason, now_ns), now_ns)
        return [*effects, *self._stand_down(reason, now_ns)], ""

    def _stand_down(self, reason: str, now_ns: int) -> list[Effect]:
        """Withdraw what has not left, cancel what has."""
        effects: list[Effect] = []
        for order in self._state.orders.values():
            if unsent(order) and order.intent is not None:
                intent_id = order.intent.intent_id
                withdraw = partial(Withdraw, intent_id=intent_id, reason=reason)
                effects.append(self._issue(f"withdraw {intent_id}", withdraw, now_ns))
        return [*effects, self._cancel_all(reason, now_ns)]

    def _resume(self, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        effects = self._settle(now_ns)
        standing = blockers(self._state, self._around, self._timing, now_ns)
        if against := hindrance(self._state, standing, reason):
            return effects, against
        return effects + self._record(clearing(self._state, reason, now_ns), now_ns), ""

    def _cancel_all(self, reason: str, now_ns: int) -> HandOver:
        return self._issue("cancel_all", partial(CancelAll, reason=reason), now_ns)

    def _remember(self, answer: Operated) -> None:
        if len(self._operated) >= OPERATED_MAX:
            del self._operated[next(iter(self._operated))]
        self._operated[answer.command_id] = answer

    def _settle(self, now_ns: int) -> list[Effect]:
        found = present(self._state, self._around, self._timing, now_ns)
        return self._record(settling(self._state, found, now_ns), now_ns)

    def _raise(self, reasons: Reasons, now_ns: int) -> list[Effect]:
        return self._record(raising(self._state, reasons, now_ns), now_ns)

    def _diverge(self, reason: str, now_ns: int) -> list[Effect]:
        return [*self._raise({Cause.DIVERGENCE: reason}, now_ns), *self._settle(now_ns)]

    def _record(self, changes: Sequence[CauseRaised | CauseCleared], now_ns: int) -> list[Effect]:
        """Write changed causes down and tell everybody; execution too when the trading state is another."""
        if not changes:
            return []
        before = self._state.trading_state
        effects: list[Effect] = []
        for change in changes:
            effects.append(self._write(change))
            facts = {"cause": str(change.cause), "reason": change.reason}
            raised = isinstance(change, CauseRaised)
            effects.append(Note("cause_raised" if raised else "cause_cleared", facts, "warning" if raised else "info"))
        effects.append(Publish(POSITIONS, status_of(self._state, now_ns)))
        if self._state.trading_state is not before:
            effects.append(self._tell_execution(now_ns))
        return effects

    def _tell_execution(self, now_ns: int) -> HandOver:
        reason = ", ".join(self._state.causes) or "no cause"
        state = partial(SetTradingState, state=self._state.trading_state, reason=reason)
        return self._issue("trading_state", state, now_ns)

    def _issue(self, subject: str, make: MakeControl, now_ns: int) -> HandOver:
        return HandOver(COMMANDS, self._outbox.control(subject, make, self._state, now_ns))

    def _tell_result(self, now_ns: int) -> list[Effect]:
        if now_ns < self._result_due_ns:
            return []
        self._result_due_ns = now_ns + self._timing.profit_and_loss_every_ms * NS_PER_MS
        result = result_of(self._state, self._around, now_ns)
        self._counts.show(self._state, result)
        was, self._result = self._result, (result.realised, result.unrealised)
        return [] if was == self._result else [Publish(POSITIONS, result)]

    def _write(self, record: DecisionMessage) -> Append:
        self._state = apply(self._state, record)
        return Append(record)


class _Counts:
    """What is counted; every label is a word of ours or a symbol of the allow-list."""

    def __init__(self, metrics: Metrics) -> None:
        decisions = metrics.counter("risk_decisions_total", "Intents judged", ("allowed",))
        self._allowed, self._refused = decisions.labels("true"), decisions.labels("false")
        self._refusals = metrics.counter("risk_refusals_total", "Checks that did not hold", ("code",))
        self.repeats = metrics.counter("risk_repeats_total", "Requests that were answered before")
        self.handovers_refused = metrics.counter(
            "risk_handovers_refused_total", "Frames refused by execution", ("fault",)
        )
        self.decision_seconds = metrics.histogram("risk_decision_seconds", "From a request to its answer, on disk")
        self.lag_seconds = metrics.gauge("risk_orders_lag_seconds", "Age of the last order event when it was heard")
        self._state = metrics.gauge("risk_trading_state", "0 active, 1 reducing, 2 halted")
        self._causes = metrics.gauge("risk_cause", "1 while the cause is present", ("cause",))
        self._outbox = metrics.gauge("risk_outbox_orders", "Approvals that execution has not been heard to have")
        self._live = metrics.gauge("risk_live_orders", "Orders whose exposure is reserved")
        self._unknown = metrics.gauge("risk_unknown_orders", "Orders of which only the venue knows what became")
        self._positions = metrics.gauge("risk_position_quantity", "Position", ("symbol",))
        self._realised = metrics.gauge("risk_realised_dollars", "Realised result")
        self._unrealised = metrics.gauge("risk_unrealised_dollars", "Unrealised result at the last quotes")

    def decided(self, decision: Decision) -> None:
        """Count one decision and each check that did not hold."""
        (self._allowed if decision.allowed else self._refused).inc()
        for one in decision.refusals:
            self._refusals.labels(one.code).inc()

    def show(self, state: RiskState, result: ProfitAndLoss) -> None:
        """Bring the gauges up to date."""
        self._state.set(state.trading_state.severity)
        for cause in Cause:
            self._causes.labels(cause).set(cause in state.causes)
        self._outbox.set(len(state.outbox))
        self._live.set(len(state.orders))
        self._unknown.set(len(state.unknown))
        for symbol, exposure in state.exposures.items():
            self._positions.labels(symbol).set(float(exposure.quantity))
        self._realised.set(float(result.realised))
        self._unrealised.set(float(result.unrealised))
