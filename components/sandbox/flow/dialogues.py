"""How clients of a recording are answered: each venue's words for subscribing, and no more than that."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from components.sandbox.flow.recording import without_interval

Replies = list[str]
Channels = dict[str, None]


def handle_message(venue: str, text: str, channels: Channels, now_ns: int) -> Replies:
    """Carry out what a client says and answer it; what is no request gets no answer."""
    if text == "ping":
        return ["pong"]
    try:
        request = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError):
        return []
    return _MESSAGE_HANDLERS[venue](request, channels, now_ns)


def _binance(request: dict[str, Any], channels: Channels, _: int) -> Replies:
    names, method = request.get("params", []), request.get("method")
    if method == "LIST_SUBSCRIPTIONS":
        return [_text({"result": list(channels), "id": request.get("id")})]
    if method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
        _update_channels(channels, map(without_interval, map(str, names)), is_subscribe=method == "SUBSCRIBE")
    return [_text({"result": None, "id": request.get("id")})]


def _okx(request: dict[str, Any], channels: Channels, _: int) -> Replies:
    operation = request.get("op")
    if operation not in {"subscribe", "unsubscribe"}:
        return [_text({"event": "error", "code": "60012", "msg": "Invalid request", "connId": "recorded"})]
    named = {"id": request["id"]} if "id" in request else {}
    replies = []
    for argument in request.get("args", []):
        _update_channels(
            channels, [f"{argument.get('channel')}:{argument.get('instId')}"], is_subscribe=operation == "subscribe"
        )
        replies.append(_text({**named, "event": operation, "arg": argument, "connId": "recorded"}))
    return replies


def _deribit(request: dict[str, Any], channels: Channels, now_ns: int) -> Replies:
    verb = str(request.get("method", "")).partition("/")[2]
    result: object = "ok"
    if verb in {"subscribe", "unsubscribe"}:
        names = [str(name) for name in request.get("params", {}).get("channels", [])]
        _update_channels(channels, map(without_interval, names), is_subscribe=verb == "subscribe")
        result = names
    elif verb == "auth":
        result = {"access_token": "recorded", "refresh_token": "recorded", "expires_in": 900, "token_type": "bearer"}
    elif verb == "test":
        result = {"version": "1.2.26"}
    elif verb == "get_time":
        result = now_ns // 1_000_000
    now_us = now_ns // 1_000
    times = {"usIn": now_us, "usOut": now_us, "usDiff": 0, "testnet": False}
    return [_text({"jsonrpc": "2.0", "id": request.get("id"), "result": result, **times})]


def _update_channels(channels: Channels, names: Iterable[str], *, is_subscribe: bool) -> None:
    for name in names:
        if is_subscribe:
            channels[name] = None
        else:
            channels.pop(name, None)


def _text(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


_MESSAGE_HANDLERS: dict[str, Callable[[dict[str, Any], Channels, int], Replies]] = {
    "binance": _binance,
    "binanceum": _binance,
    "okx": _okx,
    "deribit": _deribit,
}
