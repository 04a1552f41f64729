"""Puts the board together from what `up` has seen and what the bus says."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from typing import Final

from components.contracts.decisions import Decision
from components.contracts.orders import OrderSending, OrderState
from components.contracts.values import ZERO, Symbol, canonical
from components.signals.core.model import edge_of
from components.xtrader.crew import Crew
from components.xtrader.explain.story import NS_PER_MS, Story
from components.xtrader.explain.words import wish
from components.xtrader.live.board import Board, Judgement, Light, Ticker, Ticket
from components.xtrader.live.ear import Ear
from components.xtrader.watch import Seen

ROWS_MAX: Final = 40
"""More than any terminal has lines for one list."""


def board_of(seen: Seen, ear: Ear, now_ns: int) -> Board:
    """Take a picture of this moment."""
    status, result = ear.status, ear.result
    latency_us = seen.meters.latency_us()["tick_to_order"]
    return Board(
        title=seen.title,
        now_ns=now_ns,
        running_s=(now_ns - seen.begun_ns) / 1e9,
        trading=None if status is None else status.state,
        causes=() if status is None else tuple(status.causes),
        lights=lights_of(seen.crew),
        counts=counts_of(seen),
        realised=None if result is None else result.realised,
        unrealised=None if result is None else result.unrealised,
        latency_ms={name: latency_us[name] / 1e3 for name in ("p50", "p99") if name in latency_us},
        tickers=tickers_of(ear, now_ns),
        judgements=tuple(islice(_judgements(seen.stories), ROWS_MAX)),
        tickets=tuple(islice(_tickets(seen.stories), ROWS_MAX)),
    )


def lights_of(crew: Crew) -> tuple[Light, ...]:
    """Say of each component whether it is ready."""
    return tuple(
        Light(name, berth.is_ready, berth.readiness.detail, berth.restarts) for name, berth in crew.berths.items()
    )


def counts_of(seen: Seen) -> dict[str, int]:
    """Name what is counted, in the order in which it is shown."""
    orders = {name: count for name, count in seen.tally.orders().items() if name != "submitted"}
    return {
        "approved": seen.tally.allowed,
        "refused": seen.tally.refused_signals,
        **orders,
        "gaps": seen.meters.gaps,
        "restarts": sum(berth.restarts for berth in seen.crew.berths.values()),
    }


def tickers_of(ear: Ear, now_ns: int) -> tuple[Ticker, ...]:
    """Show each symbol that is quoted or held."""
    return tuple(_ticker(ear, symbol, now_ns) for symbol in sorted({*ear.quotes, *ear.positions}))


def _ticker(ear: Ear, symbol: Symbol, now_ns: int) -> Ticker:
    quote, position, trust = ear.quotes.get(symbol), ear.positions.get(symbol), ear.books.get(symbol)
    held = ZERO if position is None else position.quantity
    is_open = position is not None and held != ZERO
    unrealised: Decimal | None = None
    if is_open and position is not None and quote is not None and quote.is_two_sided:
        unrealised = (quote.middle - position.average_price) * held
    return Ticker(
        symbol=symbol,
        bid=None if quote is None else quote.bid_price,
        ask=None if quote is None else quote.ask_price,
        age_ms=None if quote is None else max(0.0, (now_ns - quote.received_at_ns) / NS_PER_MS),
        trust="unheard" if trust is None else trust,
        held=held,
        average_price=position.average_price if is_open and position is not None else None,
        unrealised=unrealised,
        working=ZERO if position is None else position.working_buy + position.working_sell,
    )


def _judgements(stories: Iterable[Story]) -> Iterable[Judgement]:
    for story in stories:
        if story.decision is not None:
            yield _judgement(story.decision)


def _judgement(decision: Decision) -> Judgement:
    why = "; ".join(f"{one.code} {one.observed}, allowed {one.limit}" for one in decision.refusals)
    edge = edge_of(decision.intent.evidence.prediction)
    return Judgement(decision.facts.now_ns, wish(decision.intent), edge, decision.allowed, why)


def _tickets(stories: Iterable[Story]) -> Iterable[Ticket]:
    return (_ticket(story) for story in stories if story.steps)


def _ticket(story: Story) -> Ticket:
    sent = next((one.at_ns for one in story.steps if isinstance(one.event, OrderSending)), None)
    ended = story.steps[-1].at_ns if story.state is not None and story.state.is_final else None
    return Ticket(
        at_ns=story.steps[0].at_ns,
        wish=f"{story.side} {story.symbol} (not ours)" if story.intent is None else wish(story.intent),
        state=(story.state or OrderState.RECEIVED).replace("_", " "),
        outcome=_outcome(story),
        sent_ms=None if sent is None else story.since_tick_ms(sent),
        done_ms=None if ended is None else story.since_tick_ms(ended),
        name=story.client_order_id or story.name,
    )


def _outcome(story: Story) -> str:
    price = story.average_price
    return "" if price is None else f"{canonical(story.filled_quantity)} at {canonical(round(price, 4))}"
