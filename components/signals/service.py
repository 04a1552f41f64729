"""The signals service: quotes to features, features to predictions, predictions to intents sent to risk; no I/O."""

from typing import Any, Final

from components.contracts.decisions import ApprovalReply, ApprovalRequest, MalformedRequest, RiskReply
from components.contracts.errors import InvariantError
from components.contracts.market import FeedHealth, Quote, SymbolHealth, Trade
from components.contracts.signals import Purpose
from components.contracts.streams import MARKET, POSITIONS, RISK_REQUESTS, Stream
from components.contracts.trading import Position, PositionMessage, ProfitAndLoss, TradingStatus
from components.contracts.values import IntentId, Side, Symbol, Venue
from components.runtime.clock import NS_PER_MS
from components.runtime.metrics import Metrics
from components.runtime.service import (
    Effects,
    EventLevel,
    Inbound,
    LogEvent,
    MessageReceived,
    ReplyReceived,
    Request,
    RequestTimedOut,
    StreamLost,
    StreamSynced,
)
from components.signals.core.features import Features
from components.signals.core.model import Model, edge_of
from components.signals.core.strategy import (
    FeatureSnapshot,
    OrderProposal,
    PositionView,
    SignalSettings,
    StrategySettings,
    build_intent,
    decide,
)
from components.signals.core.symbol_state import SymbolState

FLAT: Final = PositionView()


class SignalsService:
    """Tracks every symbol and our positions; has at most one order request per symbol in flight."""

    def __init__(self, model: Model, strategy: StrategySettings, settings: SignalSettings, metrics: Metrics) -> None:
        self._model = model
        self._strategy = strategy
        self._settings = settings
        self._metrics = _SignalsMetrics(metrics)
        self._symbols: dict[Symbol, SymbolState] = {}
        self._positions: dict[Symbol, PositionView] = {}
        self._pending: dict[IntentId, Symbol] = {}
        self._lost_streams = {MARKET.name: "not synced yet", POSITIONS.name: "not synced yet"}
        self._sequence = 0
        self._is_stopping = False

    def on_start(self, now_ns: int) -> Effects:  # noqa: ARG002  # required by Service
        """Log which model is used."""
        card = self._model.card
        facts = {"name": card.name, "version": card.version, "file_hash": card.file_hash, "schema": card.schema_hash}
        return [LogEvent("model_loaded", {**facts, "run_id": self._settings.run_id})]

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Handle market data, positions, and replies of risk."""
        if isinstance(message, MessageReceived):
            body = message.body
            return self._on_quote(body, message, now_ns) if isinstance(body, Quote) else self._apply(body)
        match message:
            case StreamLost():
                return self._on_stream_lost(message)
            case StreamSynced():
                return self._on_stream_synced(message)
            case ReplyReceived():
                return self._on_reply(message)
            case RequestTimedOut():
                return self._on_timeout(message)
            case _:
                raise InvariantError(f"unexpected input {type(message).__name__}")

    def on_tick(self, now_ns: int) -> Effects:  # noqa: ARG002  # required by Service
        """Return nothing: only quotes cause effects."""
        return ()

    def on_stop(self, now_ns: int) -> Effects:  # noqa: ARG002  # required by Service
        """Send no more signals."""
        self._is_stopping = True
        return ()

    def is_drained(self) -> bool:
        """Return whether every request has been answered."""
        return not self._pending

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Raise InvariantError: signals publishes no stream."""
        raise InvariantError(f"signals does not publish {stream.name}")

    def unmet(self, now_ns: int) -> tuple[str, ...]:  # noqa: ARG002  # required by Service
        """Return the streams that are not synced: market data and positions."""
        return tuple(f"{stream}: {reason}" for stream, reason in self._lost_streams.items())

    def _apply(self, body: Trade | SymbolHealth | FeedHealth | PositionMessage) -> Effects:
        match body:
            case Trade():
                if state := self._state_at(body.venue, body.symbol):
                    state.apply_trade(body)
            case SymbolHealth():
                self._apply_health(body)
            case Position():
                self._apply_position(body)
            # Each book reports its own state after a feed is lost, and risk decides by its own trading state.
            case FeedHealth() | ProfitAndLoss() | TradingStatus():
                pass
        return ()

    def _on_quote(self, quote: Quote, received: MessageReceived, now_ns: int) -> Effects:
        offset = received.offset
        state = self._state_at(quote.venue, quote.symbol)
        if state is None or not state.apply_quote(quote, offset) or not self._may_signal(state, quote, now_ns):
            return ()
        features = state.features.row()
        if features is None:
            return ()
        prediction = self._model.predict(features)
        self._metrics.predictions.inc()
        edge = edge_of(prediction)
        if edge is None:
            self._metrics.invalid_predictions.inc()
            return ()
        proposal = decide(quote, edge, self._positions.get(quote.symbol, FLAT), self._strategy)
        if proposal is None:
            return ()
        tick_at_ns = received.header.received_at_ns
        snapshot = state.feature_snapshot(quote, features, prediction, offset=offset, tick_at_ns=tick_at_ns)
        return self._propose(proposal, snapshot, now_ns)

    def _may_signal(self, state: SymbolState, quote: Quote, now_ns: int) -> bool:
        is_fresh = now_ns - quote.received_at_ns <= self._settings.quote_age_ms_max * NS_PER_MS
        may = is_fresh and not self._lost_streams and not self._is_stopping
        return may and state.may_signal(now_ns, self._strategy.cool_down_ms * NS_PER_MS)

    def _propose(self, proposal: OrderProposal, snapshot: FeatureSnapshot, now_ns: int) -> Effects:
        self._sequence += 1
        card = self._model.card
        intent = build_intent(proposal, snapshot, self._settings, card=card, sequence=self._sequence, now_ns=now_ns)
        state = self._symbols[snapshot.symbol]
        intent_id = intent.intent_id
        state.in_flight, state.last_signal_at_ns = intent_id, now_ns
        self._pending[intent_id] = snapshot.symbol
        self._metrics.proposed[proposal.purpose, proposal.side].inc()
        return (Request(RISK_REQUESTS, intent_id, ApprovalRequest(intent), self._settings.approval_timeout_ms),)

    def _on_reply(self, received: ReplyReceived) -> Effects:
        symbol = self._finish_request(received.request_id)
        if symbol is None:
            return ()
        reply: RiskReply = received.body
        match reply:
            case ApprovalReply(allowed=True):
                self._metrics.replies.labels("allowed").inc()
                return [_request_event("signal_approved", received, symbol, level="debug")]
            case ApprovalReply(checks=checks):
                failed = [one.name for one in checks if not one.passed]
                for name in failed:
                    self._metrics.replies.labels(name).inc()
                return [_request_event("signal_refused", received, symbol, level="debug", failed_checks=failed)]
            case MalformedRequest(detail):
                self._metrics.replies.labels("malformed_request").inc()
                return [_request_event("signal_malformed", received, symbol, level="warning", detail=detail)]
            case _:
                raise InvariantError(f"risk replied to a signal with {type(reply).__name__}")

    def _on_timeout(self, timed_out: RequestTimedOut) -> Effects:
        # The order may or may not exist; the positions stream will show it. Nothing is assumed and nothing is sent
        # again.
        symbol = self._finish_request(timed_out.request_id)
        self._metrics.replies.labels("timed_out").inc()
        return [_request_event("signal_timed_out", timed_out, symbol, level="warning")]

    def _finish_request(self, request_id: str) -> Symbol | None:
        symbol = self._pending.pop(IntentId(request_id), None)
        if symbol is not None and (state := self._symbols.get(symbol)):
            state.in_flight = None
        return symbol

    def _on_stream_lost(self, lost: StreamLost) -> Effects:
        self._lost_streams[lost.stream.name] = lost.reason
        self._metrics.stream_losses.labels(lost.stream.name).inc()
        return [
            LogEvent(
                "stream_lost", {"stream": lost.stream.name, "missing": lost.missing, "reason": lost.reason}, "warning"
            )
        ]

    def _on_stream_synced(self, synced: StreamSynced) -> Effects:
        self._lost_streams.pop(synced.stream.name, None)
        if synced.stream is MARKET:
            self._reset_market(synced.snapshot)
        else:
            self._positions = {}
            for message in synced.snapshot:
                if isinstance(message, Position):
                    self._apply_position(message)
        return [LogEvent("stream_synced", {"stream": synced.stream.name, "messages": len(synced.snapshot)})]

    def _reset_market(self, messages: tuple[Any, ...]) -> None:
        for state in self._symbols.values():
            state.reset()
        for message in messages:
            if isinstance(message, SymbolHealth):
                self._apply_health(message)

    def _apply_health(self, health: SymbolHealth) -> None:
        if state := self._state_at(health.venue, health.symbol):
            state.apply_book_state(health.state)

    def _apply_position(self, position: Position) -> None:
        self._positions[position.symbol] = PositionView(position.quantity, position.working_buy, position.working_sell)

    def _state_at(self, venue: Venue, symbol: Symbol) -> SymbolState | None:
        """Return the state of a symbol; None at another venue, and for a new symbol beyond `symbols_max`."""
        if venue != self._settings.venue:
            return None
        state = self._symbols.get(symbol)
        if state is None and len(self._symbols) < self._settings.symbols_max:
            state = self._symbols[symbol] = SymbolState(Features())
        return state


class _SignalsMetrics:
    """Metrics of signals; every label value is from an enum."""

    def __init__(self, metrics: Metrics) -> None:
        proposed = metrics.counter("signals_proposed_total", "Intents sent to risk.", ("purpose", "side"))
        # Looking up a label costs more than counting.
        self.proposed = {(purpose, side): proposed.labels(purpose, side) for purpose in Purpose for side in Side}
        self.replies = metrics.counter(
            "signals_replies_total", "Risk's replies: allowed, or each failed check.", ("outcome",)
        )
        self.predictions = metrics.counter("signals_predictions_total", "Predictions of the model.")
        self.invalid_predictions = metrics.counter(
            "signals_invalid_predictions_total", "Predictions that are not probabilities."
        )
        self.stream_losses = metrics.counter("signals_stream_losses_total", "Times a stream was lost.", ("stream",))


def _request_event(
    event: str,
    outcome: ReplyReceived | RequestTimedOut,
    symbol: Symbol | None,
    *,
    level: EventLevel = "info",
    **facts: object,
) -> LogEvent:
    return LogEvent(event, {"intent_id": outcome.request_id, "symbol": symbol, **facts}, level)
