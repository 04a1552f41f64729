"""The configuration of a simulated run: the components' own tables, with timeouts far below a second."""

from typing import Any, Final

SYMBOLS: Final = ("AAA", "BBB")
POSITION_MAX: Final = 6
"""Risk's limit; the strategy proposes more."""
ACCOUNT: Final = "simulated"
_KEYS: Final = {"key": "env:SIMULATED_KEY", "secret": "env:SIMULATED_SECRET"}
TABLES: Final[dict[str, dict[str, Any]]] = {
    "market_data": {
        "symbols": SYMBOLS,
        "quote_age_ms_max": 1_000,
        "first_quote_timeout_ms": 1_000,
        "alpaca": _KEYS
        | {
            "stream_url": "ws://127.0.0.1:1/feed",
            "symbols_max": 30,
            "connect_timeout_ms": 1_000,
            "reply_timeout_ms": 1_000,
            "close_timeout_ms": 100,
            "ping_every_ms": 1_000,
            "pong_timeout_ms": 1_000,
            "no_data_timeout_ms": 1_000,
            "no_data_timeout_ms_max": 10_000,
            "retry_ms_first": 100,
            "retry_ms_max": 1_000,
            "frame_bytes_max": 1_048_576,
        },
    },
    "risk": {
        "limits": {
            "symbols": SYMBOLS,
            "signal_age_ms_max": 500,
            "clock_skew_ms_max": 100,
            "repeat_window_ms": 5,
            "quote_age_ms_max": 500,
            "spread_bps_max": "100",
            "price_collar_bps_max": "200",
            "price_tick": "0.01",
            "price_tick_below_one": "0.0001",
            "order_quantity_max": "10",
            "quantity_increment": "1",
            "order_notional_max": "100000",
            "position_quantity_max": str(POSITION_MAX),
            "short_selling": False,
            "open_orders_max": 8,
            "order_rate_per_minute_max": 100_000,
        },
        "timing": {
            "approval_ttl_ms": 1_500,
            "command_retry_ms": 80,
            "order_age_ms_max": 500,
            "cancel_retry_ms": 200,
            "reconciliation_age_ms_max": 10_000,
            "data_age_ms_max": 1_000,
            "clock_jump_ms_max": 1_000,
            "clock_suspect_ms": 300,
            "pnl_interval_ms": 1_000,
        },
    },
    "execution": {
        "request_budget": {"orders_per_minute": 6_000, "reads_per_minute": 6_000, "reserve_per_minute": 6_000},
        "reconciliation": {"interval_s": 1, "fills_margin_s": 2},
        "orders": {"submits_in_flight_max": 8, "cancel_check_ms": 200, "buffered_events_max": 100},
        "fence": {"quantity": "1", "buy_price": "0.01", "sell_price": "999999.99"},
        "venue_health": {
            "degraded_after_failures": 3,
            "lost_after_failures": 6,
            "slow_response_ms": 1_000,
            "degraded_after_slow_responses": 5,
        },
        "alpaca": _KEYS
        | {
            "trading_url": "http://127.0.0.1:1",
            "stream_url": "ws://127.0.0.1:1/stream",
            "connect_timeout_ms": 500,
            "reply_timeout_ms": 500,
            "connections_max": 12,
            "ping_interval_ms": 1_000,
            "pong_timeout_ms": 1_000,
            "probe_after_idle_ms": 5_000,
            "retry_ms_first": 100,
            "retry_ms_max": 1_000,
            "frame_bytes_max": 1_048_576,
        },
    },
    "signals": {
        "strategy_id": "sim",
        "model": "models/demo.toml",
        "venue": "alpaca",
        "quote_age_ms_max": 500,
        "signal_ttl_ms": 400,
        "approval_timeout_ms": 200,
        "symbols_max": 8,
        "strategy": {
            "edge_enter_min": 0.25,
            "edge_exit_min": 0.25,
            "cool_down_ms": 20,
            "quantity": "2",
            "position_max": "10",
            "price_offset_bps": "5",
            "time_in_force": "ioc",
            "short_allowed": False,
        },
    },
}
"""The simulation's own delays are chosen to lie on both sides of every timeout here."""
