"""A running venue's own view, read through its side door, in lines a person can scan."""

from urllib.error import URLError
from urllib.request import urlopen

import msgspec

from components.contracts.errors import PeerUnreachable, UsageError

TIMEOUT_S = 5.0


def read_state(url: str) -> str:
    """Ask a venue for everything it knows, as one line of JSON."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"--url: {url!r} is not an http address")
    try:
        with urlopen(f"{url.rstrip('/')}/state", timeout=TIMEOUT_S) as answer:  # noqa: S310 - the scheme is checked above
            text: str = answer.read().decode()
    except (URLError, TimeoutError) as error:
        raise PeerUnreachable(f"{url}: no sandbox answers there ({error})") from error
    return text


def state_lines(text: str) -> str:
    """Show the counts, the positions and the orders that are still open."""
    state = msgspec.json.decode(text)
    counts = "  ".join(f"{name} {value}" for name, value in state["counts"].items())
    held = [f"  {symbol:<6} {quantity:>10}" for symbol, quantity in sorted(state["positions"].items())]
    working = [_order_line(order) for order in state["orders"] if order["history"][-1]["leaves_qty"] != "0"]
    return "\n".join(
        [f"cash {state['cash']}  {counts}", "positions", *held, "orders with something left", *working[-50:]]
    )


def _order_line(order: dict[str, str]) -> str:
    facts = (order["client_order_id"], order["side"], order["qty"], order["symbol"], order["type"], order["status"])
    return "  " + "  ".join(str(fact) for fact in facts)
