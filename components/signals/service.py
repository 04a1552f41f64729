"""Turns quotes into features, features into predictions, and predictions into signals that risk may refuse; no I/O."""

from typing import Any, Final

from components.contracts.decisions import Judge, JudgeReply, NotUnderstood, Verdict
from components.contracts.errors import InvariantError
from components.contracts.market import FeedHealth, Quote, SymbolHealth, Trade
from components.contracts.positions import Position, PositionMessage, ProfitAndLoss, TradingStatus
from components.contracts.signals import Purpose
from components.contracts.topics import JUDGE, MARKET, POSITIONS, Stream
from components.contracts.values import IntentId, Side, Symbol, Venue
from components.runtime.metrics import Metrics
from components.runtime.service import Answered, Effects, Heard, Inbound, Joined, Lost, Note, Request, Unanswered
from components.signals.core.features import Features
from components.signals.core.intents import NS_PER_MS, Sight, Terms, write_intent
from components.signals.core.model import Model, edge_of
from components.signals.core.strategy import Standing, StrategySettings, Wish, decide
from components.signals.core.watch import Watch

FLAT: Final = Standing()


class SignalsService:
    """Watches every symbol of the market and knows what we hold; asks risk for one order per symbol at a time."""

    def __init__(self, model: Model, strategy: StrategySettings, terms: Terms, metrics: Metrics) -> None:
        self._model = model
        self._strategy = strategy
        self._terms = terms
        self._counts = _Counts(metrics)
        self._watches: dict[Symbol, Watch] = {}
        self._standings: dict[Symbol, Standing] = {}
        self._asked: dict[IntentId, Symbol] = {}
        self._broken = {MARKET.name: "not joined yet", POSITIONS.name: "not joined yet"}
        self._sequence = 0
        self._stops = False

    def on_start(self, now_ns: int) -> Effects:  # noqa: ARG002  # a start needs no time
        """Say which model is about to trade."""
        card = self._model.card
        facts = {"name": card.name, "version": card.version, "file_hash": card.file_hash, "schema": card.schema_hash}
        return [Note("model_loaded", {**facts, "epoch": self._terms.epoch})]

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Hear the market, our positions, and risk's answers."""
        if isinstance(message, Heard):
            body = message.body
            return self._hear_quote(body, message, now_ns) if isinstance(body, Quote) else self._hear(body)
        match message:
            case Lost():
                return self._lose(message)
            case Joined():
                return self._join(message)
            case Answered():
                return self._take_answer(message)
            case Unanswered():
                return self._give_up(message)
            case _:
                raise InvariantError(f"signals hears no {type(message).__name__}")

    def on_tick(self, now_ns: int) -> Effects:  # noqa: ARG002  # only quotes move it
        """Let time pass; nothing here happens without a quote."""
        return ()

    def on_stop(self, now_ns: int) -> Effects:  # noqa: ARG002  # the answers still to come bring their own
        """Wish for nothing more."""
        self._stops = True
        return ()

    def is_drained(self) -> bool:
        """Say whether every wish has had its answer."""
        return not self._asked

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Refuse: signals speaks to risk alone."""
        raise InvariantError(f"signals does not say {stream.name}")

    def unmet(self, now_ns: int) -> tuple[str, ...]:  # noqa: ARG002  # what is broken is so at any time
        """Wait until the market and our positions are heard whole."""
        return tuple(f"{stream}: {reason}" for stream, reason in self._broken.items())

    def _hear(self, body: Trade | SymbolHealth | FeedHealth | PositionMessage) -> Effects:
        match body:
            case Trade():
                if watch := self._watch_at(body.venue, body.symbol):
                    watch.take_trade(body)
            case SymbolHealth():
                self._take_health(body)
            case Position():
                self._take_position(body)
            # Each book says itself what a dead feed means for it, and risk what its own state allows.
            case FeedHealth() | ProfitAndLoss() | TradingStatus():
                pass
        return ()

    def _hear_quote(self, quote: Quote, heard: Heard, now_ns: int) -> Effects:
        place = heard.place
        watch = self._watch_at(quote.venue, quote.symbol)
        if watch is None or not watch.take_quote(quote, place) or not self._may_wish(watch, quote, now_ns):
            return ()
        features = watch.features.row()
        if features is None:
            return ()
        prediction = self._model.predict(features)
        self._counts.predictions.inc()
        edge = edge_of(prediction)
        if edge is None:
            self._counts.senseless.inc()
            return ()
        wish = decide(quote, edge, self._standings.get(quote.symbol, FLAT), self._strategy)
        if wish is None:
            return ()
        tick_at_ns = heard.header.received_at_ns
        sight = watch.sight(quote, features, prediction, place=place, tick_at_ns=tick_at_ns)
        return self._propose(wish, sight, now_ns)

    def _may_wish(self, watch: Watch, quote: Quote, now_ns: int) -> bool:
        is_fresh = now_ns - quote.received_at_ns <= self._terms.quote_age_ms_max * NS_PER_MS
        may = is_fresh and not self._broken and not self._stops
        return may and watch.is_due(now_ns, self._strategy.cool_down_ms * NS_PER_MS)

    def _propose(self, wish: Wish, sight: Sight, now_ns: int) -> Effects:
        self._sequence += 1
        card = self._model.card
        intent = write_intent(wish, sight, self._terms, card=card, sequence=self._sequence, now_ns=now_ns)
        watch = self._watches[sight.symbol]
        intent_id = intent.intent_id
        watch.in_flight, watch.wished_at_ns = intent_id, now_ns
        self._asked[intent_id] = sight.symbol
        self._counts.proposed[wish.purpose, wish.side].inc()
        return (Request(JUDGE, intent_id, Judge(intent), self._terms.judge_ms_max),)

    def _take_answer(self, answered: Answered) -> Effects:
        symbol = self._settle(answered.request_id)
        if symbol is None:
            return ()
        reply: JudgeReply = answered.body
        match reply:
            case Verdict(allowed=True):
                self._counts.verdicts.labels("allowed").inc()
                return [_note("signal_allowed", answered, symbol, level="debug")]
            case Verdict(checked=checked):
                codes = [one.code for one in checked if not one.holds]
                for code in codes:
                    self._counts.verdicts.labels(code).inc()
                return [_note("signal_refused", answered, symbol, level="debug", refusals=codes)]
            case NotUnderstood(detail):
                self._counts.verdicts.labels("not_understood").inc()
                return [_note("signal_not_understood", answered, symbol, level="warning", detail=detail)]
            case _:
                raise InvariantError(f"risk answered a signal with {type(reply).__name__}")

    def _give_up(self, unanswered: Unanswered) -> Effects:
        # The order may or may not exist; the positions stream will tell. Nothing is assumed, nothing is sent again.
        symbol = self._settle(unanswered.request_id)
        self._counts.verdicts.labels("unanswered").inc()
        return [_note("signal_unanswered", unanswered, symbol, level="warning")]

    def _settle(self, request_id: str) -> Symbol | None:
        symbol = self._asked.pop(IntentId(request_id), None)
        if symbol is not None and (watch := self._watches.get(symbol)):
            watch.in_flight = None
        return symbol

    def _lose(self, lost: Lost) -> Effects:
        self._broken[lost.stream.name] = lost.reason
        self._counts.losses.labels(lost.stream.name).inc()
        return [
            Note("stream_lost", {"stream": lost.stream.name, "missing": lost.missing, "reason": lost.reason}, "warning")
        ]

    def _join(self, joined: Joined) -> Effects:
        self._broken.pop(joined.stream.name, None)
        if joined.stream is MARKET:
            self._begin_market(joined.messages)
        else:
            self._standings = {}
            for message in joined.messages:
                if isinstance(message, Position):
                    self._take_position(message)
        return [Note("stream_joined", {"stream": joined.stream.name, "messages": len(joined.messages)})]

    def _begin_market(self, messages: tuple[Any, ...]) -> None:
        for watch in self._watches.values():
            watch.begin_anew()
        for message in messages:
            if isinstance(message, SymbolHealth):
                self._take_health(message)

    def _take_health(self, health: SymbolHealth) -> None:
        if watch := self._watch_at(health.venue, health.symbol):
            watch.take_state(health.state)

    def _take_position(self, position: Position) -> None:
        self._standings[position.symbol] = Standing(position.quantity, position.working_buy, position.working_sell)

    def _watch_at(self, venue: Venue, symbol: Symbol) -> Watch | None:
        return self._watch(symbol) if venue == self._terms.venue else None

    def _watch(self, symbol: Symbol) -> Watch | None:
        watch = self._watches.get(symbol)
        if watch is None and len(self._watches) < self._terms.symbols_max:
            watch = self._watches[symbol] = Watch(Features())
        return watch


def _note(
    event: str, answer: Answered | Unanswered, symbol: Symbol | None, *, level: str = "info", **facts: object
) -> Note:
    return Note(event, {"intent_id": answer.request_id, "symbol": symbol, **facts}, level)


class _Counts:
    """What is counted; every label is a word of ours."""

    def __init__(self, metrics: Metrics) -> None:
        proposed = metrics.counter("signals_proposed_total", "Signals sent to risk", ("purpose", "side"))
        # Looking a label up costs more than counting.
        self.proposed = {(purpose, side): proposed.labels(purpose, side) for purpose in Purpose for side in Side}
        self.verdicts = metrics.counter(
            "signals_verdicts_total", "Risk's answers: allowed, or each check that refused", ("outcome",)
        )
        self.predictions = metrics.counter("signals_predictions_total", "Times the model was asked")
        self.senseless = metrics.counter("signals_senseless_total", "Predictions that cannot be probabilities")
        self.losses = metrics.counter("signals_stream_losses_total", "Times a stream's continuity broke", ("stream",))
