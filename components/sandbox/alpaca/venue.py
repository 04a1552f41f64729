"""Alpaca's trading venue without I/O: takes requests, quotes and the time, returns order events."""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.alpaca.core.account import AccountState
from components.sandbox.alpaca.core.admission import AdmissionContext, check_admission, infer_position_intent
from components.sandbox.alpaca.core.errors import CLIENT_ORDER_ID_NOT_UNIQUE, ApiError, unprocessable
from components.sandbox.alpaca.core.matching import Execution, Quote, match_order, update_stop
from components.sandbox.alpaca.core.orders import (
    WORKING_STATUSES,
    EventKind,
    Order,
    OrderEvent,
    OrderStatus,
    OrderTerms,
    TimeInForce,
)
from components.sandbox.alpaca.core.session import SessionPhase, TradingSession
from components.sandbox.alpaca.core.validation import (
    OrderBody,
    ReplaceBody,
    check_client_order_id,
    parse_order_terms,
    replacement_terms,
)
from components.sandbox.numerics import draws

STATUS_BY_END_EVENT = {
    EventKind.CANCELED: OrderStatus.CANCELED,
    EventKind.EXPIRED: OrderStatus.EXPIRED,
    EventKind.REJECTED: OrderStatus.REJECTED,
    EventKind.REPLACED: OrderStatus.REPLACED,
}


class Transition(Struct, frozen=True):
    """The result of one request, quote or tick: events, and the order or the error to respond with."""

    events: tuple[OrderEvent, ...] = ()
    order: Order | None = None
    error: ApiError | None = None


class AlpacaVenue:
    """Holds the account and decides. Nothing that it returns may be sent before the ledger has persisted it."""

    def __init__(
        self,
        account: AccountState,
        listed: frozenset[str],
        session: TradingSession,
        seed: int,
        new_id: Callable[[], str],
    ) -> None:
        self.account = account
        self._listed = listed
        self.session = session
        self._seed = seed
        self._new_id = new_id

    def submit(self, body: OrderBody, now_ns: int) -> Transition:
        """Accept an order for processing, or return an error.

        Only this method decides whether a client order id is new.
        """
        client_order_id = body.client_order_id or self._new_id()
        if error := check_client_order_id(client_order_id):
            return Transition(error=error)
        # Checked before everything that depends on the market: a repeated request must always get this error.
        if client_order_id in self.account.used_client_order_ids:
            return Transition(error=CLIENT_ORDER_ID_NOT_UNIQUE)
        terms = parse_order_terms(body)
        if isinstance(terms, ApiError):
            return Transition(error=terms)
        if terms.symbol not in self._listed:
            return Transition(error=unprocessable(f'asset "{terms.symbol}" not found'))
        if error := check_admission(terms, self._admission_context(terms.symbol)):
            return Transition(error=error)
        order = self._add_order(client_order_id, terms, now_ns)
        return self._accept(order, now_ns)

    def cancel(self, order_id: str, now_ns: int) -> Transition:
        """Start the cancel of an open order; a fill can still overtake it."""
        order = self.account.orders[order_id]
        if order.waits:
            return self._end(order, EventKind.CANCELED, now_ns)
        if order.status is OrderStatus.PENDING_CANCEL:
            return Transition(order=order)
        # A cancel leaves nothing open, so a pending replacement ends together with the order it would replace.
        rejected = self._reject_replacement(order, now_ns)
        pending = replace(order, status=OrderStatus.PENDING_CANCEL, replaced_by=None)
        requested = self._update(pending, EventKind.PENDING_CANCEL, now_ns)
        return Transition((*rejected, *requested.events), requested.order)

    def replace(self, order_id: str, body: ReplaceBody, now_ns: int) -> Transition:
        """Start the replacement of an open order by a new order with its own id."""
        old = self.account.orders[order_id]
        client_order_id = body.client_order_id or self._new_id()
        if error := check_client_order_id(client_order_id):
            return Transition(error=error)
        if client_order_id in self.account.used_client_order_ids:
            return Transition(error=CLIENT_ORDER_ID_NOT_UNIQUE)
        terms = replacement_terms(old, body)
        if isinstance(terms, ApiError):
            return Transition(error=terms)
        if error := check_admission(terms, self._admission_context(terms.symbol, without=order_id)):
            return Transition(error=error)
        entered = self._add_order(client_order_id, terms, now_ns)
        new = self.account.store_order(
            replace(entered, replaces=order_id, waits=True, replaces_filled_qty=old.filled_qty)
        )
        pending = replace(old, status=OrderStatus.PENDING_REPLACE, replaced_by=new.order_id)
        events = self._update(pending, EventKind.PENDING_REPLACE, now_ns).events
        return Transition((_event(EventKind.ACCEPTED, new, now_ns), *events), new)

    def advance_order(self, order_id: str, now_ns: int, *, rejecting: bool = False) -> Transition:
        """Move an order from a transient status to the next."""
        order = self.account.orders.get(order_id)
        match order.status if order else None:
            case OrderStatus.PENDING_NEW if order:
                return self._end(order, EventKind.REJECTED, now_ns) if rejecting else self._acknowledge(order, now_ns)
            case OrderStatus.PENDING_CANCEL if order:
                return self._end(order, EventKind.CANCELED, now_ns)
            case OrderStatus.PENDING_REPLACE if order:
                return self._complete_replacement(order, now_ns)
            case _:
                return Transition()

    def on_quote(self, quote: Quote, now_ns: int) -> Transition:
        """Record a new quote and match every working order of its symbol against it."""
        self.account.quotes[quote.symbol] = quote
        events: list[OrderEvent] = []
        for order in self.account.open_orders_for(quote.symbol):
            if order.status in WORKING_STATUSES:
                events += self._try_match(order, now_ns)
        return Transition(tuple(events))

    def on_tick(self, now_ns: int) -> Transition:
        """Apply the passing of time: queued orders enter when the session opens, DAY orders expire when it closes."""
        events: list[OrderEvent] = []
        for order in list(self.account.orders.values()):
            if order.expires_at_ns is not None and now_ns >= order.expires_at_ns:
                events += self._end(order, EventKind.EXPIRED, now_ns).events + self._reject_replacement(order, now_ns)
            elif order.status is OrderStatus.ACCEPTED and not order.waits and self._may_trade(order, now_ns):
                events += self._route(order, now_ns).events
        return Transition(tuple(events))

    def is_trading(self, now_ns: int) -> bool:
        """Return whether the market moves at this time, extended hours included."""
        return self.session.phase(now_ns) is not SessionPhase.CLOSED

    def _add_order(self, client_order_id: str, terms: OrderTerms, now_ns: int) -> Order:
        intent = infer_position_intent(terms.side, self.account.position(terms.symbol).qty)
        return self.account.add_order(self._new_id(), client_order_id, replace(terms, position_intent=intent), now_ns)

    def _admission_context(self, symbol: str, without: str | None = None) -> AdmissionContext:
        return AdmissionContext(
            position_qty=self.account.position(symbol).qty,
            orders=[order for order in self.account.open_orders_for(symbol) if order.order_id != without],
            quote=self.account.quotes[symbol],
            buying_power=self.account.balances(without).buying_power,
            configuration=self.account.configuration,
        )

    def _may_trade(self, order: Order, now_ns: int) -> bool:
        phase = self.session.phase(now_ns)
        return phase is SessionPhase.OPEN or (phase is SessionPhase.EXTENDED and order.terms.extended_hours)

    def _accept(self, order: Order, now_ns: int) -> Transition:
        if order.terms.time_in_force is TimeInForce.DAY:
            order = replace(order, expires_at_ns=self.session.day_order_expires_at_ns(now_ns))
        if self._may_trade(order, now_ns):
            return self._route(order, now_ns)
        return self._update(order, EventKind.ACCEPTED, now_ns)

    def _route(self, order: Order, now_ns: int) -> Transition:
        return self._update(replace(order, status=OrderStatus.PENDING_NEW), EventKind.PENDING_NEW, now_ns)

    def _acknowledge(self, order: Order, now_ns: int) -> Transition:
        opened = self._update(replace(order, status=OrderStatus.NEW), EventKind.NEW, now_ns)
        return Transition((*opened.events, *self._try_match(self.account.orders[order.order_id], now_ns)), opened.order)

    def _try_match(self, order: Order, now_ns: int) -> list[OrderEvent]:
        if not self._may_trade(order, now_ns):
            return []
        quote = self.account.quotes[order.terms.symbol]
        order = self.account.store_order(update_stop(order, quote))
        draw = draws(self._seed, "fill", self.account.executions_count)[0]
        execution = match_order(order, quote, draw)
        events = [] if execution is None else self._fill(order, execution, now_ns)
        left = self.account.orders.get(order.order_id)
        if left is not None and order.terms.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}:
            events += self._end(left, EventKind.CANCELED, now_ns).events
        return events

    def _fill(self, order: Order, execution: Execution, now_ns: int) -> list[OrderEvent]:
        filled = replace(self.account.apply_execution(order, execution), updated_at_ns=now_ns)
        is_complete = filled.remaining <= 0
        if is_complete:
            filled = replace(filled, status=OrderStatus.FILLED, filled_at_ns=now_ns, ended_at_ns=now_ns)
        elif filled.status is OrderStatus.NEW:
            # A pending cancel or replace stays visible; only an order without one becomes partially filled.
            filled = replace(filled, status=OrderStatus.PARTIALLY_FILLED)
        event = OrderEvent(
            kind=EventKind.FILL if is_complete else EventKind.PARTIAL_FILL,
            order=self.account.store_order(filled),
            at_ns=now_ns,
            execution_id=self._new_id(),
            price=execution.price,
            qty=execution.qty,
            position_qty=self.account.position(order.terms.symbol).qty,
        )
        return [event, *(self._reject_replacement(filled, now_ns) if is_complete else ())]

    def _complete_replacement(self, old: Order, now_ns: int) -> Transition:
        new = self.account.orders[old.replaced_by or ""]
        if new.replaces_filled_qty != old.filled_qty:
            status = OrderStatus.PARTIALLY_FILLED if old.filled_qty else OrderStatus.NEW
            restored = self._update(
                replace(old, status=status, replaced_by=None), EventKind.ORDER_REPLACE_REJECTED, now_ns
            )
            return Transition((*restored.events, *self._end(new, EventKind.REJECTED, now_ns).events))
        left = self._end(old, EventKind.REPLACED, now_ns)
        entered = self._accept(replace(new, waits=False), now_ns)
        return Transition((*left.events, *entered.events), entered.order)

    def _reject_replacement(self, old: Order, now_ns: int) -> tuple[OrderEvent, ...]:
        # The old order has ended by itself, so there is nothing left to replace.
        waiting = self.account.orders.get(old.replaced_by or "")
        return () if waiting is None else self._end(waiting, EventKind.REJECTED, now_ns).events

    def _end(self, order: Order, kind: EventKind, now_ns: int) -> Transition:
        return self._update(replace(order, status=STATUS_BY_END_EVENT[kind], ended_at_ns=now_ns), kind, now_ns)

    def _update(self, order: Order, kind: EventKind, now_ns: int) -> Transition:
        stored = self.account.store_order(replace(order, updated_at_ns=now_ns))
        execution_id = self._new_id() if kind is EventKind.NEW else None
        return Transition((_event(kind, stored, now_ns, execution_id),), stored)


def _event(kind: EventKind, order: Order, now_ns: int, execution_id: str | None = None) -> OrderEvent:
    return OrderEvent(kind=kind, order=order, at_ns=now_ns, execution_id=execution_id)
