"""The gate: judges what is asked, and passes everything else on to the part that it concerns."""

from typing import Any

from components.contracts.approval import SealKey
from components.contracts.decisions import Decision, Judge, LogOpened, NotUnderstood, Operate, ShowAccount
from components.contracts.errors import InvariantError
from components.contracts.signals import Intent
from components.contracts.topics import COMMANDS, MARKET, ORDERS, POSITIONS, Stream
from components.contracts.values import ZERO, Money
from components.risk.core.account import account_of, position_of, result_of, status_of
from components.risk.core.causes import waiting
from components.risk.core.checks import NS_PER_MS
from components.risk.core.fold import verdict_of
from components.risk.core.judge import decide
from components.risk.core.limits import Limits, Timing
from components.risk.core.memory import digest_of
from components.risk.core.outbox import Outbox, to_hand_over
from components.risk.core.state import RiskState
from components.risk.core.surroundings import Surroundings
from components.risk.service.books import Books
from components.risk.service.counts import Counts
from components.risk.service.desk import Desk
from components.risk.service.ear import Ear
from components.runtime.metrics import Metrics
from components.runtime.service import (
    Acked,
    Asked,
    Effect,
    Effects,
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


class RiskService:
    """The only gate between a wish and an order."""

    def __init__(
        self, *, limits: Limits, timing: Timing, key: SealKey, state: RiskState, metrics: Metrics, version: str
    ) -> None:
        self._limits, self._timing, self._version = limits, timing, version
        self._around = Surroundings(limits, timing)
        self._outbox = Outbox(key, timing)
        self._books = Books(state, self._around, self._outbox, timing)
        self._counts = Counts(metrics)
        self._desk = Desk(self._books)
        self._ear = Ear(self._books, self._desk, self._counts)
        self._result: tuple[Money, Money] = (ZERO, ZERO)
        self._result_due_ns = 0
        self._is_stopping = False

    @property
    def state(self) -> RiskState:
        """The account as the log tells it up to now."""
        return self._books.state

    def on_start(self, now_ns: int) -> Effects:
        """Open the log's next chapter: halted, until evidence says otherwise."""
        self._around.see_time(now_ns)
        limits = self._limits
        opened = LogOpened(self.state.account, limits.version, self._version, now_ns, limits.text)
        return [self._books.write(opened), Publish(POSITIONS, status_of(self.state, now_ns))]

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Hear one thing."""
        match message:
            case Heard(stream=stream) if stream.name == MARKET.name:
                self._around.hear_market(message.body, message.place)
                return ()
            case Heard():
                return self._ear.hear(message.place, message.body, now_ns)
            case Asked(ticket=ticket, body=body):
                return self._on_request(ticket, body, now_ns)
            case Acked(body=body):
                return self._ear.acknowledged(body, now_ns)
            case Joined() | Lost():
                return self._on_stream(message, now_ns)
            case _:
                raise InvariantError(f"risk hears no {type(message).__name__}")

    def on_tick(self, now_ns: int) -> Effects:
        """Weigh the evidence, hand over again what is due, cancel what is too old, tell the result."""
        self._around.see_time(now_ns)
        effects = self._books.settle(now_ns)
        if self._around.orders_lost is None:
            effects += [HandOver(COMMANDS, frame) for frame in self._outbox.due(self.state, now_ns)]
        return effects + self._tell_result(now_ns)

    def on_stop(self, now_ns: int) -> Effects:
        """Refuse entries from now on; what was approved is still handed over."""
        self._is_stopping = True
        self._around.see_time(now_ns)
        return (Note("intake_stopped", {"outbox": len(self.state.outbox)}),)

    def is_drained(self) -> bool:
        """Say whether nothing is left that execution could take now."""
        return self._around.orders_lost is not None or not to_hand_over(self.state, self._around.seen_ns)

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Give every position, the result and the trading state."""
        if stream.name != POSITIONS.name:
            raise InvariantError(f"risk does not say {stream.name}")
        state, now_ns = self.state, self._around.seen_ns
        positions = (position_of(one, now_ns) for one in state.exposures.values())
        return (*positions, result_of(state, self._around, now_ns), status_of(state, now_ns))

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Name what readiness waits for; the log was replayed before this object was made."""
        return waiting(self.state, self._around, self._timing, now_ns)

    def _on_stream(self, message: Joined | Lost, now_ns: int) -> Effects:
        match message:
            case Joined(stream=stream) if stream.name == ORDERS.name:
                return self._ear.join(message, now_ns)
            case Lost(stream=stream) if stream.name == ORDERS.name:
                return self._ear.lose(message, now_ns)
            case Joined(place=place, messages=messages):
                self._around.join_market(place, messages)
            case Lost(reason=reason):
                self._around.lose_market(reason)
        return self._books.settle(now_ns)

    def _on_request(self, ticket: bytes, request: object, now_ns: int) -> Effects:
        match request:
            case Judge(intent=intent):
                return self._judge(ticket, intent, now_ns)
            case Operate():
                return self._desk.operate(ticket, request, now_ns)
            case ShowAccount(request_id=request_id):
                result = result_of(self.state, self._around, now_ns)
                return (Reply(ticket, account_of(self.state, result, request_id)),)
            case _:
                return (Reply(ticket, NotUnderstood(f"risk answers no {type(request).__name__}")),)

    def _judge(self, ticket: bytes, intent: Intent, now_ns: int) -> Effects:
        """Judge by the evidence of this moment; what was judged before gets the answer it got."""
        intent_id = intent.intent_id
        known = self.state.memory.find(intent_id)
        if known is not None and known.digest == digest_of(intent):
            self._counts.repeats.inc()
            return (Reply(ticket, known.verdict),)
        effects = self._books.settle(now_ns)
        decision = self._decided(intent, now_ns)
        effects.append(self._books.write(decision))
        self._counts.decided(decision)
        if decision.allowed:
            frame = self._outbox.approval(self.state.orders[intent_id], now_ns)
            effects.append(HandOver(COMMANDS, frame))
        effects.append(Reply(ticket, verdict_of(decision, self.state.last_sequence)))
        effects += (Observe(self._counts.decision_seconds.observe, now_ns), self._told(decision, now_ns))
        return effects

    def _decided(self, intent: Intent, now_ns: int) -> Decision:
        state, ttl_ns = self.state, self._timing.approval_ttl_ms * NS_PER_MS
        facts = self._around.facts(intent.symbol, now_ns, tuple(state.causes), is_stopping=self._is_stopping)
        return decide(intent, facts, self._limits, state, ttl_ns)

    def _told(self, decision: Decision, now_ns: int) -> Effect:
        intent = decision.intent
        if decision.allowed:
            return Publish(POSITIONS, position_of(self.state.exposure(intent.symbol), now_ns))
        refusals = {str(one.code): f"{one.observed}, limit {one.limit}" for one in decision.refusals}
        return Note("intent_refused", {"intent_id": intent.intent_id, **refusals})

    def _tell_result(self, now_ns: int) -> list[Effect]:
        if now_ns < self._result_due_ns:
            return []
        self._result_due_ns = now_ns + self._timing.profit_and_loss_every_ms * NS_PER_MS
        result = result_of(self.state, self._around, now_ns)
        self._counts.show(self.state, result)
        was, self._result = self._result, (result.realised, result.unrealised)
        return [] if was == self._result else [Publish(POSITIONS, result)]
