"""Orders, positions, accounts and assets as the JSON documents that clients read."""

from decimal import Decimal
from hashlib import blake2b

from components.sandbox.core.account import MULTIPLIER, Configuration, Money, Position
from components.sandbox.core.decimals import ZERO, plain, plain_or_none
from components.sandbox.core.matching import Quote, stop_price
from components.sandbox.core.orders import FILLS, Order, OrderEvent, OrderType, Side, Status
from components.sandbox.core.stamps import stamp, stamp_or_none

Document = dict[str, object]
EXCHANGE = "NASDAQ"  # of every share here
MAINTENANCE = Decimal("0.3")


def order_document(order: Order) -> Document:
    """Describe an order with every key present."""
    terms = order.terms
    trailing = terms.type is OrderType.TRAILING_STOP
    return {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "created_at": stamp(order.submitted_at_ns),
        "updated_at": stamp(order.updated_at_ns),
        "submitted_at": stamp(order.submitted_at_ns),
        "filled_at": stamp_or_none(order.filled_at_ns),
        "expired_at": _ended(order, Status.EXPIRED),
        "canceled_at": _ended(order, Status.CANCELED),
        "failed_at": _ended(order, Status.REJECTED),
        "replaced_at": _ended(order, Status.REPLACED),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset_id(terms.symbol),
        "symbol": terms.symbol,
        "asset_class": "us_equity",
        "notional": plain_or_none(terms.notional),
        "qty": plain_or_none(terms.qty),
        "filled_qty": plain(order.filled_qty),
        "filled_avg_price": plain_or_none(order.filled_avg_price),
        "order_class": "",
        "order_type": terms.type,
        "type": terms.type,
        "side": terms.side,
        "position_intent": terms.position_intent,
        "time_in_force": terms.time_in_force,
        "limit_price": plain_or_none(terms.limit_price),
        "stop_price": plain_or_none(stop_price(order) if trailing else terms.stop_price),
        "status": order.status,
        "extended_hours": terms.extended_hours,
        "legs": None,
        "trail_percent": plain_or_none(terms.trail_percent),
        "trail_price": plain_or_none(terms.trail_price),
        "hwm": plain_or_none(order.high_water_mark),
        "subtag": None,
        "source": None,
        "expires_at": stamp_or_none(order.expires_at_ns),
    }


def event_document(event: OrderEvent) -> Document:
    """Describe one event as the stream says it; price and quantities belong to fills only."""
    document: Document = {
        "event": event.kind,
        "execution_id": event.execution_id,
        "timestamp": stamp(event.at_ns),
        "order": order_document(event.order),
    }
    if event.kind in FILLS:
        document["price"] = plain_or_none(event.price)
        document["qty"] = plain_or_none(event.qty)
        document["position_qty"] = plain_or_none(event.position_qty)
    return {"stream": "trade_updates", "data": document}


def position_document(position: Position, quote: Quote, held: Decimal) -> Document:
    """Describe a position at the present quote; every position counts as opened today."""
    value, cost = position.qty * quote.middle, position.qty * position.avg_entry_price
    profit = value - cost
    share = profit / abs(cost) if cost else ZERO
    available = position.qty - held if position.qty > 0 else position.qty + held
    return {
        "asset_id": asset_id(position.symbol),
        "symbol": position.symbol,
        "exchange": EXCHANGE,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": plain(position.qty),
        "qty_available": plain(available),
        "avg_entry_price": plain(position.avg_entry_price),
        "side": "long" if position.qty > 0 else "short",
        "market_value": plain(value),
        "cost_basis": plain(cost),
        "unrealized_pl": plain(profit),
        "unrealized_plpc": plain(share),
        "unrealized_intraday_pl": plain(profit),
        "unrealized_intraday_plpc": plain(share),
        "current_price": plain(quote.middle),
        "lastday_price": plain(position.avg_entry_price),
        "change_today": plain(share),
    }


def account_document(account_id: str, opened_at_ns: int, money: Money, configuration: Configuration) -> Document:
    """Describe the account at the present quotes."""
    exposure = money.long_value - money.short_value
    return {
        "id": account_id,
        "account_number": "PA" + account_id.replace("-", "")[:10].upper(),
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "cash": plain(money.cash),
        "equity": plain(money.equity),
        "portfolio_value": plain(money.equity),
        "last_equity": plain(money.equity),
        "buying_power": plain(money.buying_power),
        "effective_buying_power": plain(money.buying_power),
        "regt_buying_power": plain(money.buying_power),
        "non_marginable_buying_power": plain(max(ZERO, money.cash - money.reserved)),
        "options_buying_power": "0",
        "long_market_value": plain(money.long_value),
        "short_market_value": plain(money.short_value),
        "position_market_value": plain(exposure),
        "initial_margin": plain(exposure / 2),
        "maintenance_margin": plain(exposure * MAINTENANCE),
        "last_maintenance_margin": "0",
        "sma": "0",
        "multiplier": plain(MULTIPLIER),
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "pending_reg_taf_fees": "0",
        "intraday_adjustments": "0",
        "balance_asof": stamp(opened_at_ns)[:10],
        "created_at": stamp(opened_at_ns),
        "trading_blocked": False,
        "transfers_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": configuration.suspend_trade,
        "shorting_enabled": not configuration.no_shorting,
        "crypto_tier": 0,
        "options_approved_level": 0,
        "options_trading_level": 0,
    }


def asset_document(symbol: str) -> Document:
    """Describe a share that this venue lists."""
    return {
        "id": asset_id(symbol),
        "class": "us_equity",
        "exchange": EXCHANGE,
        "symbol": symbol,
        "name": f"{symbol} Common Stock",
        "status": "active",
        "tradable": True,
        "marginable": True,
        "shortable": True,
        "easy_to_borrow": True,
        "borrow_status": "easy_to_borrow",
        "fractionable": True,
        "maintenance_margin_requirement": 30,
        "margin_requirement_long": "30",
        "margin_requirement_short": "30",
        "attributes": [],
    }


def asset_id(symbol: str) -> str:
    """Return the same identifier for the same symbol, for ever."""
    digits = blake2b(symbol.encode(), digest_size=16).hexdigest()
    # The marks of a random UUID, so that strict readers take it for one.
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def closing_side(position: Position) -> Side:
    """Return the side that brings a position to zero."""
    return Side.SELL if position.qty > 0 else Side.BUY


def _ended(order: Order, status: Status) -> str | None:
    return stamp_or_none(order.ended_at_ns) if order.status is status else None
