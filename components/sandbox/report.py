"""A running venue's own view, read through its side door, in lines a person can scan."""

from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import msgspec

from components.contracts.errors import PeerUnreachable, UsageError

TIMEOUT_S = 5.0
LINES_MAX = 50


def read_state(url: str) -> dict[str, Any]:
    """Ask a venue for everything it knows."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--url: {url!r} is not an http address")
    try:
        with urlopen(f"{url.rstrip('/')}/state", timeout=TIMEOUT_S) as reply:  # noqa: S310  # the scheme is checked
            return msgspec.json.decode(reply.read(), type=dict[str, Any])
    except (URLError, TimeoutError) as error:
        raise PeerUnreachable(f"{url}: no sandbox answers there ({error})") from error
    except msgspec.MsgspecError as error:
        raise PeerUnreachable(f"{url}: what answers there is no sandbox's side door") from error


def state_lines(state: dict[str, Any]) -> str:
    """Show the counts, the positions and the latest orders."""
    counts = "  ".join(f"{name} {value}" for name, value in state["counts"].items())
    held = [f"  {symbol:<6} {quantity:>10}" for symbol, quantity in sorted(state["positions"].items())]
    orders = [_order_line(order) for order in state["orders"][-LINES_MAX:]]
    return "\n".join([f"cash {state['cash']}  {counts}", "positions", *held, "latest orders", *orders])


def _order_line(order: dict[str, Any]) -> str:
    amount = order["qty"] or f"${order['notional']}"
    facts = (order["client_order_id"], order["side"], amount, order["symbol"], order["type"], order["status"])
    return "  " + "  ".join(str(fact) for fact in facts)
