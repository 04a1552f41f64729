"""Client of the admin API of a running sandbox, and the text form of its answers."""

from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import msgspec

from components.contracts.errors import PeerUnreachable, UsageError
from components.runtime.config.settings import load_settings
from components.runtime.process.manifest import read_manifest
from components.sandbox.transport.faults import AlpacaFault, CryptoFault

T = TypeVar("T")
TIMEOUT_S = 5.0
LINES_MAX = 50
FAULT_PATHS = ("/faults", "/crypto-faults")


def admin_url(url: str | None) -> str:
    """Return the admin URL to use: the given one, or that of the sandbox started by `xtrader up`."""
    if url is not None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"--url: {url!r} is not an http address")
        return url.rstrip("/")
    paths = load_settings().paths
    manifest = read_manifest(paths, "sandbox")
    if manifest is None:
        raise PeerUnreachable(
            f"no sandbox is running here ({paths.manifest('sandbox')}); pass the admin_url of another by --url"
        )
    return manifest.endpoints["admin"]


def read_state(admin: str) -> dict[str, Any]:
    """Request the complete state of a venue."""
    return _get(admin, "/state", dict[str, Any])


def read_orders(admin: str) -> list[dict[str, Any]]:
    """Request the venue's own list of orders, oldest first."""
    return _get(admin, "/orders", list[dict[str, Any]])


def read_faults(admin: str) -> list[dict[str, Any]]:
    """Request the armed faults with their counts: Alpaca's first, then those of the crypto venues."""
    return [one for path in FAULT_PATHS for one in _get(admin, path, list[dict[str, Any]])]


def arm_fault(admin: str, fault: AlpacaFault | CryptoFault) -> None:
    """Arm a fault."""
    path = FAULT_PATHS[isinstance(fault, CryptoFault)]
    _send(admin, path, "POST", msgspec.json.encode(fault))


def clear_faults(admin: str) -> None:
    """Disarm all faults."""
    for path in FAULT_PATHS:
        _send(admin, path, "DELETE", None)


def _get(admin: str, path: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(_send(admin, path, "GET", None), type=kind)
    except msgspec.MsgspecError as error:
        raise PeerUnreachable(f"{admin}: the response is not from a sandbox's admin API") from error


def _send(admin: str, path: str, method: str, body: bytes | None) -> bytes:
    request = Request(f"{admin}{path}", body, {"Content-Type": "application/json"}, method=method)  # noqa: S310  # the scheme is checked
    try:
        with urlopen(request, timeout=TIMEOUT_S) as reply:  # noqa: S310  # the scheme is checked
            content: bytes = reply.read()
            return content
    except HTTPError as error:
        raise UsageError(f"{admin}{path}: {error.read().decode('utf-8', 'replace')}") from error
    except (URLError, TimeoutError) as error:
        raise PeerUnreachable(f"{admin}: no sandbox answers at this address ({error})") from error


def state_lines(state: dict[str, Any]) -> str:
    """Format the counts, the positions and the latest orders."""
    counts = "  ".join(f"{name} {value}" for name, value in state["counts"].items())
    held = [f"  {symbol:<6} {quantity:>10}" for symbol, quantity in sorted(state["positions"].items())]
    orders = [order_line(order) for order in state["orders"][-LINES_MAX:]]
    return "\n".join([f"cash {state['cash']}  {counts}", "positions", *held, "latest orders", *orders])


def fault_line(fault: dict[str, Any]) -> str:
    """Format one armed fault with its counts."""
    what = " ".join(f"{name}={value}" for name, value in fault.items() if name not in {"kind", "seen", "done"})
    return f"{fault['kind']:<18} triggered {fault['done']} of {fault['seen']} times  {what}"


def order_line(order: dict[str, Any]) -> str:
    """Format one order."""
    amount = order["qty"] or f"${order['notional']}"
    facts = (order["client_order_id"], order["side"], amount, order["symbol"], order["type"], order["status"])
    return "  " + "  ".join(str(fact) for fact in facts)
