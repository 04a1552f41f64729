"""JSON-RPC as Deribit speaks it: requests read, results and errors stamped, notifications."""

from typing import Any

import msgspec
from msgspec import Struct

from components.sandbox.deribit.refusals import RpcError

MICROSECOND_NS = 1_000
Document = dict[str, object]
RequestId = int | str | None


class RpcRequest(Struct, frozen=True):
    """One call."""

    method: str
    id: RequestId = None
    params: dict[str, Any] = {}


def parse_request(text: str) -> RpcRequest | None:
    """Read a call; nothing where the text is none."""
    try:
        return msgspec.json.decode(text, type=RpcRequest)
    except (msgspec.MsgspecError, ValueError):
        return None


def encode_reply(request_id: RequestId, outcome: object, in_ns: int, out_ns: int) -> bytes:
    """Write the answer to a call, be it a result or a refusal."""
    kind = "error" if isinstance(outcome, RpcError) else "result"
    in_us, out_us = in_ns // MICROSECOND_NS, out_ns // MICROSECOND_NS
    stamps = {"usIn": in_us, "usOut": out_us, "usDiff": out_us - in_us, "testnet": False}
    named: Document = {} if request_id is None else {"id": request_id}
    return msgspec.json.encode({"jsonrpc": "2.0", **named, kind: outcome, **stamps})


def encode_notification(channel: str, data: object) -> str:
    """Write what the subscribers of a channel are told."""
    params = {"channel": channel, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "subscription", "params": params}).decode()


def encode_heartbeat(kind: str) -> str:
    """Write a sign of life, or a request for one: `heartbeat` or `test_request`."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": kind}}).decode()
