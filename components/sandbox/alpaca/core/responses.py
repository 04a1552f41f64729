"""JSON documents of Alpaca's API: orders, positions, accounts, assets, and the messages of the market-data stream."""

from decimal import Decimal
from hashlib import blake2b

from components.sandbox.alpaca.core.account import MARGIN_MULTIPLIER, AccountConfiguration, Balances, Position
from components.sandbox.alpaca.core.market_history import Bar
from components.sandbox.alpaca.core.matching import Quote, effective_stop_price
from components.sandbox.alpaca.core.orders import FILL_EVENTS, Order, OrderEvent, OrderStatus, OrderType, Side
from components.sandbox.alpaca.core.price_walk import MarketTrade
from components.sandbox.alpaca.core.session import format_timestamp, format_timestamp_or_none
from components.sandbox.numerics import ZERO, cents_to_dollars, format_decimal, format_decimal_or_none

Document = dict[str, object]
EXCHANGE = "NASDAQ"  # exchange of all listed shares
MAINTENANCE_MARGIN = Decimal("0.3")


def order_document(order: Order) -> Document:
    """Return an order with every key present."""
    terms = order.terms
    trailing = terms.type is OrderType.TRAILING_STOP
    return {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "created_at": format_timestamp(order.submitted_at_ns),
        "updated_at": format_timestamp(order.updated_at_ns),
        "submitted_at": format_timestamp(order.submitted_at_ns),
        "filled_at": format_timestamp_or_none(order.filled_at_ns),
        "expired_at": _ended_at(order, OrderStatus.EXPIRED),
        "canceled_at": _ended_at(order, OrderStatus.CANCELED),
        "failed_at": _ended_at(order, OrderStatus.REJECTED),
        "replaced_at": _ended_at(order, OrderStatus.REPLACED),
        "replaced_by": order.replaced_by,
        "replaces": order.replaces,
        "asset_id": asset_id(terms.symbol),
        "symbol": terms.symbol,
        "asset_class": "us_equity",
        "notional": format_decimal_or_none(terms.notional),
        "qty": format_decimal_or_none(terms.qty),
        "filled_qty": format_decimal(order.filled_qty),
        "filled_avg_price": format_decimal_or_none(order.filled_avg_price),
        "order_class": "",
        "order_type": terms.type,
        "type": terms.type,
        "side": terms.side,
        "position_intent": terms.position_intent,
        "time_in_force": terms.time_in_force,
        "limit_price": format_decimal_or_none(terms.limit_price),
        "stop_price": format_decimal_or_none(effective_stop_price(order) if trailing else terms.stop_price),
        "status": order.status,
        "extended_hours": terms.extended_hours,
        "legs": None,
        "trail_percent": format_decimal_or_none(terms.trail_percent),
        "trail_price": format_decimal_or_none(terms.trail_price),
        "hwm": format_decimal_or_none(order.high_water_mark),
        "subtag": None,
        "source": None,
        "expires_at": format_timestamp_or_none(order.expires_at_ns),
    }


def event_document(event: OrderEvent) -> Document:
    """Return the stream message of an event; only fills have a price and quantities."""
    document: Document = {
        "event": event.kind,
        "execution_id": event.execution_id,
        "timestamp": format_timestamp(event.at_ns),
        "order": order_document(event.order),
    }
    if event.kind in FILL_EVENTS:
        document["price"] = format_decimal_or_none(event.price)
        document["qty"] = format_decimal_or_none(event.qty)
        document["position_qty"] = format_decimal_or_none(event.position_qty)
    return {"stream": "trade_updates", "data": document}


def position_document(position: Position, quote: Quote, held: Decimal) -> Document:
    """Return a position at the current quote; every position counts as opened today."""
    value, cost = position.qty * quote.mid, position.qty * position.avg_entry_price
    profit = value - cost
    share = profit / abs(cost) if cost else ZERO
    available = position.qty - held if position.qty > 0 else position.qty + held
    return {
        "asset_id": asset_id(position.symbol),
        "symbol": position.symbol,
        "exchange": EXCHANGE,
        "asset_class": "us_equity",
        "asset_marginable": True,
        "qty": format_decimal(position.qty),
        "qty_available": format_decimal(available),
        "avg_entry_price": format_decimal(position.avg_entry_price),
        "side": "long" if position.qty > 0 else "short",
        "market_value": format_decimal(value),
        "cost_basis": format_decimal(cost),
        "unrealized_pl": format_decimal(profit),
        "unrealized_plpc": format_decimal(share),
        "unrealized_intraday_pl": format_decimal(profit),
        "unrealized_intraday_plpc": format_decimal(share),
        "current_price": format_decimal(quote.mid),
        "lastday_price": format_decimal(position.avg_entry_price),
        "change_today": format_decimal(share),
    }


def account_document(
    account_id: str, opened_at_ns: int, balances: Balances, configuration: AccountConfiguration
) -> Document:
    """Return the account at the current quotes."""
    exposure = balances.long_value - balances.short_value
    return {
        "id": account_id,
        "account_number": "PA" + account_id.replace("-", "")[:10].upper(),
        "status": "ACTIVE",
        "crypto_status": "INACTIVE",
        "currency": "USD",
        "cash": format_decimal(balances.cash),
        "equity": format_decimal(balances.equity),
        "portfolio_value": format_decimal(balances.equity),
        "last_equity": format_decimal(balances.equity),
        "buying_power": format_decimal(balances.buying_power),
        "effective_buying_power": format_decimal(balances.buying_power),
        "regt_buying_power": format_decimal(balances.buying_power),
        "non_marginable_buying_power": format_decimal(max(ZERO, balances.cash - balances.reserved_funds)),
        "options_buying_power": "0",
        "long_market_value": format_decimal(balances.long_value),
        "short_market_value": format_decimal(balances.short_value),
        "position_market_value": format_decimal(exposure),
        "initial_margin": format_decimal(exposure / 2),
        "maintenance_margin": format_decimal(exposure * MAINTENANCE_MARGIN),
        "last_maintenance_margin": "0",
        "sma": "0",
        "multiplier": format_decimal(MARGIN_MULTIPLIER),
        "accrued_fees": "0",
        "pending_transfer_in": "0",
        "pending_transfer_out": "0",
        "pending_reg_taf_fees": "0",
        "intraday_adjustments": "0",
        "balance_asof": format_timestamp(opened_at_ns)[:10],
        "created_at": format_timestamp(opened_at_ns),
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
    """Return a listed share."""
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
    """Return the id of an asset, derived from its symbol."""
    digits = blake2b(symbol.encode(), digest_size=16).hexdigest()
    # Version and variant bits of a random UUID, so that strict clients accept it.
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def closing_side(position: Position) -> Side:
    """Return the side that closes a position."""
    return Side.SELL if position.qty > 0 else Side.BUY


def _ended_at(order: Order, status: OrderStatus) -> str | None:
    return format_timestamp_or_none(order.ended_at_ns) if order.status is status else None


def quote_document(quote: Quote) -> Document:
    """Return a quote; sizes are in shares."""
    return {
        "T": "q",
        "S": quote.symbol,
        "bx": "V",
        "bp": quote.bid,
        "bs": quote.bid_size,
        "ax": "V",
        "ap": quote.ask,
        "as": quote.ask_size,
        "c": ["R"],
        "z": "C",
    }


def trade_document(trade: MarketTrade, number: int) -> Document:
    """Return a trade."""
    return {
        "T": "t",
        "S": trade.symbol,
        "i": number,
        "x": "V",
        "p": cents_to_dollars(trade.price_cents),
        "s": trade.size,
        "c": ["@"],
        "z": "C",
    }


def bar_document(bar: Bar) -> Document:
    """Return a finished bar."""
    return {
        "T": "b",
        "S": bar.symbol,
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
        "n": bar.count,
        "vw": bar.average,
    }
