"""The venue without any I/O: requests, quotes and the passing of time in; order events out."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.core.admission import Scene, admit, infer_intent
from components.sandbox.core.books import Books
from components.sandbox.core.chance import draws
from components.sandbox.core.matching import Execution, Quote, match, watch
from components.sandbox.core.orders import (
    WORKING,
    EventKind,
    Order,
    OrderEvent,
    Status,
    Terms,
    TimeInForce,
)
from components.sandbox.core.refusals import NOT_UNIQUE, Refusal, unprocessable
from components.sandbox.core.replacement import ReplaceBody, revise
from components.sandbox.core.session import Phase, Session
from components.sandbox.core.validation import OrderBody, check_client_order_id, parse_terms

ENDS = {
    EventKind.CANCELED: Status.CANCELED,
    EventKind.EXPIRED: Status.EXPIRED,
    EventKind.REJECTED: Status.REJECTED,
    EventKind.REPLACED: Status.REPLACED,
}


class Step(Struct, frozen=True):
    """What one request, quote or moment led to."""

    events: tuple[OrderEvent, ...] = ()
    order: Order | None = None
    refusal: Refusal | None = None


class Venue:
    """Holds the books and decides; nothing it returns is known to anyone until the ledger has it."""

    def __init__(
        self, books: Books, listed: frozenset[str], session: Session, seed: int, new_id: Callable[[], str]
    ) -> None:
        self.books = books
        self._listed = listed
        self.session = session
        self._seed = seed
        self._new_id = new_id

    def submit(self, body: OrderBody, now_ns: int) -> Step:
        """Accept an order for processing, or refuse it; that its client id is new is decided here and nowhere else."""
        client_order_id = body.client_order_id or self._new_id()
        if refusal := check_client_order_id(client_order_id):
            return Step(refusal=refusal)
        # Before anything that depends on the moment: a repeat must hear that it is one, whatever the market does now.
        if client_order_id in self.books.used_ids:
            return Step(refusal=NOT_UNIQUE)
        terms = parse_terms(body)
        if isinstance(terms, Refusal):
            return Step(refusal=terms)
        if terms.symbol not in self._listed:
            return Step(refusal=unprocessable(f'asset "{terms.symbol}" not found'))
        if refusal := admit(terms, self._scene(terms.symbol)):
            return Step(refusal=refusal)
        order = self._enter(client_order_id, terms, now_ns)
        return self._received(order, now_ns)

    def cancel(self, order_id: str, now_ns: int) -> Step:
        """Begin to cancel an open order; a fill may still win."""
        order = self.books.orders[order_id]
        if order.waits:
            return self._end(order, EventKind.CANCELED, now_ns)
        if order.status is Status.PENDING_CANCEL:
            return Step(order=order)
        # Whoever cancels wants nothing left, so a replacement that is under way goes with the order it would replace.
        dropped = self._forsake_replacement(order, now_ns)
        leaving = replace(order, status=Status.PENDING_CANCEL, replaced_by=None)
        asked = self._change(leaving, EventKind.PENDING_CANCEL, now_ns)
        return Step((*dropped, *asked.events), asked.order)

    def replace(self, order_id: str, body: ReplaceBody, now_ns: int) -> Step:
        """Begin to replace an open order by a new one with its own id."""
        old = self.books.orders[order_id]
        client_order_id = body.client_order_id or self._new_id()
        if refusal := check_client_order_id(client_order_id):
            return Step(refusal=refusal)
        if client_order_id in self.books.used_ids:
            return Step(refusal=NOT_UNIQUE)
        terms = revise(old, body)
        if isinstance(terms, Refusal):
            return Step(refusal=terms)
        if refusal := admit(terms, self._scene(terms.symbol, without=order_id)):
            return Step(refusal=refusal)
        entered = self._enter(client_order_id, terms, now_ns)
        new = self.books.keep(replace(entered, replaces=order_id, waits=True, replaces_filled_qty=old.filled_qty))
        leaving = replace(old, status=Status.PENDING_REPLACE, replaced_by=new.order_id)
        events = self._change(leaving, EventKind.PENDING_REPLACE, now_ns).events
        return Step((_event(EventKind.ACCEPTED, new, now_ns), *events), new)

    def proceed(self, order_id: str, now_ns: int, *, rejecting: bool = False) -> Step:
        """Lead an order on from a state that does not last."""
        order = self.books.orders.get(order_id)
        match order.status if order else None:
            case Status.PENDING_NEW if order:
                return self._end(order, EventKind.REJECTED, now_ns) if rejecting else self._open(order, now_ns)
            case Status.PENDING_CANCEL if order:
                return self._end(order, EventKind.CANCELED, now_ns)
            case Status.PENDING_REPLACE if order:
                return self._swap(order, now_ns)
            case _:
                return Step()

    def on_quote(self, quote: Quote, now_ns: int) -> Step:
        """Take a new quote and match every working order of its symbol against it."""
        self.books.quotes[quote.symbol] = quote
        events: list[OrderEvent] = []
        for order in self.books.orders_of(quote.symbol):
            if order.status in WORKING:
                events += self._try(order, now_ns)
        return Step(tuple(events))

    def on_tick(self, now_ns: int) -> Step:
        """Let time pass: queued orders enter when the session opens, DAY orders end when it closes."""
        events: list[OrderEvent] = []
        for order in list(self.books.orders.values()):
            if order.expires_at_ns is not None and now_ns >= order.expires_at_ns:
                events += self._end(order, EventKind.EXPIRED, now_ns).events + self._forsake_replacement(order, now_ns)
            elif order.status is Status.ACCEPTED and not order.waits and self._may_trade(order, now_ns):
                events += self._route(order, now_ns).events
        return Step(tuple(events))

    def is_trading(self, now_ns: int) -> bool:
        """Tell whether the market moves at this moment, be it only before or after hours."""
        return self.session.phase(now_ns) is not Phase.CLOSED

    def _enter(self, client_order_id: str, terms: Terms, now_ns: int) -> Order:
        intent = infer_intent(terms.side, self.books.position(terms.symbol).qty)
        return self.books.enter(self._new_id(), client_order_id, replace(terms, position_intent=intent), now_ns)

    def _scene(self, symbol: str, without: str | None = None) -> Scene:
        return Scene(
            position_qty=self.books.position(symbol).qty,
            orders=[order for order in self.books.orders_of(symbol) if order.order_id != without],
            quote=self.books.quotes[symbol],
            buying_power=self.books.money(without).buying_power,
            configuration=self.books.configuration,
        )

    def _may_trade(self, order: Order, now_ns: int) -> bool:
        phase = self.session.phase(now_ns)
        return phase is Phase.OPEN or (phase is Phase.EXTENDED and order.terms.extended_hours)

    def _received(self, order: Order, now_ns: int) -> Step:
        if order.terms.time_in_force is TimeInForce.DAY:
            order = replace(order, expires_at_ns=self.session.day_order_ends_at_ns(now_ns))
        if self._may_trade(order, now_ns):
            return self._route(order, now_ns)
        return self._change(order, EventKind.ACCEPTED, now_ns)

    def _route(self, order: Order, now_ns: int) -> Step:
        return self._change(replace(order, status=Status.PENDING_NEW), EventKind.PENDING_NEW, now_ns)

    def _open(self, order: Order, now_ns: int) -> Step:
        opened = self._change(replace(order, status=Status.NEW), EventKind.NEW, now_ns)
        return Step((*opened.events, *self._try(self.books.orders[order.order_id], now_ns)), opened.order)

    def _try(self, order: Order, now_ns: int) -> list[OrderEvent]:
        if not self._may_trade(order, now_ns):
            return []
        quote = self.books.quotes[order.terms.symbol]
        order = self.books.keep(watch(order, quote))
        draw = draws(self._seed, "fill", self.books.executions_count)[0]
        execution = match(order, quote, draw)
        events = [] if execution is None else self._fill(order, execution, now_ns)
        left = self.books.orders.get(order.order_id)
        if left is not None and order.terms.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}:
            events += self._end(left, EventKind.CANCELED, now_ns).events
        return events

    def _fill(self, order: Order, execution: Execution, now_ns: int) -> list[OrderEvent]:
        filled = replace(self.books.settle(order, execution), updated_at_ns=now_ns)
        whole = filled.remaining <= 0
        if whole:
            filled = replace(filled, status=Status.FILLED, filled_at_ns=now_ns, ended_at_ns=now_ns)
        elif filled.status is Status.NEW:
            # A cancel or replace that is under way stays visible; only a quiet order becomes partially filled.
            filled = replace(filled, status=Status.PARTIALLY_FILLED)
        event = OrderEvent(
            kind=EventKind.FILL if whole else EventKind.PARTIAL_FILL,
            order=self.books.keep(filled),
            at_ns=now_ns,
            execution_id=self._new_id(),
            price=execution.price,
            qty=execution.qty,
            position_qty=self.books.position(order.terms.symbol).qty,
        )
        return [event, *(self._forsake_replacement(filled, now_ns) if whole else ())]

    def _swap(self, old: Order, now_ns: int) -> Step:
        new = self.books.orders[old.replaced_by or ""]
        if new.replaces_filled_qty != old.filled_qty:
            status = Status.PARTIALLY_FILLED if old.filled_qty else Status.NEW
            stays = self._change(
                replace(old, status=status, replaced_by=None), EventKind.ORDER_REPLACE_REJECTED, now_ns
            )
            return Step((*stays.events, *self._end(new, EventKind.REJECTED, now_ns).events))
        left = self._end(old, EventKind.REPLACED, now_ns)
        entered = self._received(replace(new, waits=False), now_ns)
        return Step((*left.events, *entered.events), entered.order)

    def _forsake_replacement(self, old: Order, now_ns: int) -> tuple[OrderEvent, ...]:
        # The old order ended by itself, so there is nothing left to replace.
        waiting = self.books.orders.get(old.replaced_by or "")
        return () if waiting is None else self._end(waiting, EventKind.REJECTED, now_ns).events

    def _end(self, order: Order, kind: EventKind, now_ns: int) -> Step:
        return self._change(replace(order, status=ENDS[kind], ended_at_ns=now_ns), kind, now_ns)

    def _change(self, order: Order, kind: EventKind, now_ns: int) -> Step:
        kept = self.books.keep(replace(order, updated_at_ns=now_ns))
        execution_id = self._new_id() if kind is EventKind.NEW else None
        return Step((_event(kind, kept, now_ns, execution_id),), kept)


def _event(kind: EventKind, order: Order, now_ns: int, execution_id: str | None = None) -> OrderEvent:
    return OrderEvent(kind=kind, order=order, at_ns=now_ns, execution_id=execution_id)
