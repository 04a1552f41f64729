"""The risk service: approval requests, operator requests, market data and order events in, effects out."""

from typing import Any, Final, assert_never

from components.contracts.approval import SealKey
from components.contracts.decisions import (
    AccountQuery,
    ApprovalRequest,
    Decision,
    MalformedRequest,
    OperatorAction,
    OperatorCommand,
    OperatorReply,
    RiskStarted,
)
from components.contracts.errors import InvariantError
from components.contracts.signals import Intent
from components.contracts.streams import COMMANDS, MARKET, ORDERS, POSITIONS, Stream
from components.contracts.values import ZERO, CommandId, Money
from components.risk.core.account_state import RiskState, intent_digest
from components.risk.core.checks.evaluation import decide
from components.risk.core.halts import blocking_causes, clear_latched, operator_halt, readiness_blockers, resume_refusal
from components.risk.core.limits import Limits, Timing
from components.risk.core.observations import Observations
from components.risk.core.projection import approval_reply
from components.risk.service.account_log import AccountLog
from components.risk.service.order_events import OrderEventConsumer
from components.risk.service.outbox import Outbox, approvals_to_send
from components.risk.service.reporting import RiskMetrics, account_snapshot, pnl_of, position_message, trading_status_of
from components.runtime.clock import NS_PER_MS
from components.runtime.metrics import Metrics
from components.runtime.service import (
    CommandAcknowledged,
    Effect,
    Effects,
    Inbound,
    LogEvent,
    MessageReceived,
    ObserveLatency,
    Publish,
    Reply,
    RequestReceived,
    SendCommand,
    StreamLost,
    StreamSynced,
)

OPERATOR_REPLIES_MAX: Final = 256
"""Number of latest replies kept, for operator requests that arrive twice."""


class RiskService:
    """Decides on every intent; execution accepts no order without an approval that this service sealed."""

    def __init__(
        self, *, limits: Limits, timing: Timing, key: SealKey, state: RiskState, metrics: Metrics, version: str
    ) -> None:
        self._limits, self._timing, self._version = limits, timing, version
        self._observations = Observations(limits, timing)
        self._outbox = Outbox(key, timing)
        self._log = AccountLog(state, self._observations, self._outbox, timing)
        self._metrics = RiskMetrics(metrics)
        self._operator_requests = _OperatorRequests(self._log)
        self._order_events = OrderEventConsumer(self._log, self._metrics)
        self._last_pnl: tuple[Money, Money] = (ZERO, ZERO)
        self._pnl_due_at_ns = 0
        self._is_stopping = False

    @property
    def state(self) -> RiskState:
        """The account state after the last record of the log."""
        return self._log.state

    def on_start(self, now_ns: int) -> Effects:
        """Append the start record; trading is halted until the evidence is complete."""
        self._observations.observe_clock(now_ns)
        limits = self._limits
        started = RiskStarted(self.state.account, limits.version, self._version, now_ns, limits.canonical_json)
        return [self._log.append(started), Publish(POSITIONS, trading_status_of(self.state, now_ns))]

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Handle one input."""
        match message:
            case MessageReceived(stream=stream) if stream.name == MARKET.name:
                self._observations.on_market_message(message.body, message.offset)
                return ()
            case MessageReceived():
                return self._order_events.apply(message.offset, message.body, now_ns)
            case RequestReceived(reply_to=reply_to, body=body):
                return self._on_request(reply_to, body, now_ns)
            case CommandAcknowledged(body=body):
                return self._order_events.on_acknowledgement(body, now_ns)
            case StreamSynced() | StreamLost():
                return self._on_stream(message, now_ns)
            case _:
                raise InvariantError(f"unexpected input {type(message).__name__}")

    def on_tick(self, now_ns: int) -> Effects:
        """Refresh the causes, send due frames again, cancel orders that are too old, publish the P&L."""
        self._observations.observe_clock(now_ns)
        effects = self._log.refresh_causes(now_ns)
        if self._observations.orders_lost is None:
            effects += [SendCommand(COMMANDS, frame) for frame in self._outbox.due_frames(self.state, now_ns)]
        return effects + self._publish_pnl(now_ns)

    def on_stop(self, now_ns: int) -> Effects:
        """Refuse entries from now on; approvals already given are still sent."""
        self._is_stopping = True
        self._observations.observe_clock(now_ns)
        return (LogEvent("draining_started", {"outbox": len(self.state.outbox)}),)

    def is_drained(self) -> bool:
        """Return whether no approval is left that execution could receive now."""
        return self._observations.orders_lost is not None or not approvals_to_send(
            self.state, self._observations.last_observed_ns
        )

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Return every position, the P&L and the trading status."""
        if stream.name != POSITIONS.name:
            raise InvariantError(f"risk does not publish {stream.name}")
        state, now_ns = self.state, self._observations.last_observed_ns
        positions = (position_message(one, now_ns) for one in state.exposures.values())
        return (*positions, pnl_of(state, self._observations, now_ns), trading_status_of(state, now_ns))

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Return what readiness waits for; the log was replayed before this object was created."""
        return readiness_blockers(self.state, self._observations, self._timing, now_ns)

    def _on_stream(self, message: StreamSynced | StreamLost, now_ns: int) -> Effects:
        match message:
            case StreamSynced(stream=stream) if stream.name == ORDERS.name:
                return self._order_events.on_synced(message, now_ns)
            case StreamLost(stream=stream) if stream.name == ORDERS.name:
                return self._order_events.on_lost(message, now_ns)
            case StreamSynced(offset=offset, snapshot=messages):
                self._observations.on_market_synced(offset, messages)
            case StreamLost(reason=reason):
                self._observations.on_market_lost(reason)
        return self._log.refresh_causes(now_ns)

    def _on_request(self, reply_to: bytes, request: object, now_ns: int) -> Effects:
        match request:
            case ApprovalRequest(intent=intent):
                return self._check_order(reply_to, intent, now_ns)
            case OperatorCommand():
                return self._operator_requests.handle(reply_to, request, now_ns)
            case AccountQuery(request_id=request_id):
                pnl = pnl_of(self.state, self._observations, now_ns)
                return (Reply(reply_to, account_snapshot(self.state, pnl, request_id)),)
            case _:
                return (Reply(reply_to, MalformedRequest(f"unknown request {type(request).__name__}")),)

    def _check_order(self, reply_to: bytes, intent: Intent, now_ns: int) -> Effects:
        """Decide on an intent with the evidence of this moment; a repeated request gets the first reply."""
        intent_id = intent.intent_id
        cached = self.state.reply_cache.find(intent_id)
        if cached is not None and cached.digest == intent_digest(intent):
            self._metrics.duplicate_requests.inc()
            return (Reply(reply_to, cached.reply),)
        effects = self._log.refresh_causes(now_ns)
        decision = self._decide(intent, now_ns)
        effects.append(self._log.append(decision))
        self._metrics.count_decision(decision)
        if decision.allowed:
            frame = self._outbox.seal_approval(self.state.orders[intent_id], now_ns)
            effects.append(SendCommand(COMMANDS, frame))
        effects.append(Reply(reply_to, approval_reply(decision, self.state.last_sequence)))
        effects += (
            ObserveLatency(self._metrics.decision_seconds.observe, now_ns),
            self._decision_event(decision, now_ns),
        )
        return effects

    def _decide(self, intent: Intent, now_ns: int) -> Decision:
        state, ttl_ns = self.state, self._timing.approval_ttl_ms * NS_PER_MS
        inputs = self._observations.decision_inputs(
            intent.symbol, now_ns, tuple(state.causes), is_stopping=self._is_stopping
        )
        return decide(intent, inputs, self._limits, state, ttl_ns)

    def _decision_event(self, decision: Decision, now_ns: int) -> Effect:
        intent = decision.intent
        if decision.allowed:
            return Publish(POSITIONS, position_message(self.state.exposure(intent.symbol), now_ns))
        failed = {str(one.name): f"{one.observed}, limit {one.limit}" for one in decision.failed_checks}
        return LogEvent("intent_refused", {"intent_id": intent.intent_id, **failed})

    def _publish_pnl(self, now_ns: int) -> list[Effect]:
        if now_ns < self._pnl_due_at_ns:
            return []
        self._pnl_due_at_ns = now_ns + self._timing.pnl_interval_ms * NS_PER_MS
        pnl = pnl_of(self.state, self._observations, now_ns)
        self._metrics.update_gauges(self.state, pnl)
        published, self._last_pnl = self._last_pnl, (pnl.realised, pnl.unrealised)
        return [] if published == self._last_pnl else [Publish(POSITIONS, pnl)]


class _OperatorRequests:
    """Executes each operator request once: halt, resume in two steps, cancel all orders."""

    def __init__(self, log: AccountLog) -> None:
        self._log = log
        self._replies: dict[CommandId, OperatorReply] = {}

    def handle(self, reply_to: bytes, request: OperatorCommand, now_ns: int) -> Effects:
        """Execute a request, or repeat the reply if it was executed already."""
        if (sent := self._replies.get(request.command_id)) is not None:
            return (Reply(reply_to, sent),)
        effects, refusal = self._execute(request.action, request.reason, now_ns)
        detail = refusal or f"{request.action}: {self._log.state.trading_state}"
        reply = OperatorReply(request.command_id, not refusal, detail)
        self._remember(reply)
        facts = {"action": str(request.action), "reason": request.reason, "done": reply.done, "detail": detail}
        return [*effects, Reply(reply_to, reply), LogEvent("operator_command", facts, "warning")]

    def _execute(self, action: OperatorAction, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        """Return the effects, and why the request was refused (empty if it was executed)."""
        match action:
            case OperatorAction.HALT:
                return self._halt(reason, now_ns)
            case OperatorAction.CANCEL_ALL:
                return [self._log.cancel_all(reason, now_ns)], ""
            case OperatorAction.RESUME:
                return self._resume(reason, now_ns)
            case _:
                assert_never(action)

    def _halt(self, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        if not reason:
            return [], "a halt needs a reason"
        effects = self._log.record_causes(operator_halt(self._log.state, reason, now_ns), now_ns)
        return [*effects, *self._log.cancel_everything(reason, now_ns)], ""

    def _resume(self, reason: str, now_ns: int) -> tuple[list[Effect], str]:
        log = self._log
        effects = log.refresh_causes(now_ns)
        if refusal := resume_refusal(log.state, blocking_causes(log.active_causes(now_ns)), reason):
            return effects, refusal
        return effects + log.record_causes(clear_latched(log.state, reason, now_ns), now_ns), ""

    def _remember(self, reply: OperatorReply) -> None:
        if len(self._replies) >= OPERATOR_REPLIES_MAX:
            del self._replies[next(iter(self._replies))]
        self._replies[reply.command_id] = reply
