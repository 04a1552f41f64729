"""What a Deribit client calls over its websocket, and what it is answered."""

from collections.abc import Callable, Sequence

from components.sandbox.deribit.board import Board
from components.sandbox.deribit.channels import Channel, read_channel
from components.sandbox.deribit.clients import Client
from components.sandbox.deribit.logins import Logins
from components.sandbox.deribit.modes import UNKNOWN, Modes
from components.sandbox.deribit.queries import Params, Queries
from components.sandbox.deribit.refusals import (
    BAD_REQUEST,
    PARSE_ERROR,
    RAW_NEEDS_LOGIN,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    Refusal,
    invalid,
)
from components.sandbox.deribit.rpc import Request, answer, read_request

HEARTBEAT_S_MIN = 10
UNTOLD = 1011  # what a fault's code is when nobody said otherwise
CHANNELS_MAX = 500
Method = Callable[[Params, int], object]


class Dialogue:
    """The calls of one client."""

    def __init__(self, client: Client, board: Board, queries: Queries, logins: Logins, modes: Modes) -> None:
        self._client, self._board, self._queries, self._logins, self._modes = client, board, queries, logins, modes
        self._fresh: list[Channel] = []
        self._subscriptions: dict[str, Method] = {
            "public/subscribe": self._subscribe,
            "private/subscribe": self._subscribe_privately,
            "public/unsubscribe": self._unsubscribe,
            "private/unsubscribe": self._unsubscribe,
            "public/unsubscribe_all": self._unsubscribe_all,
            "private/unsubscribe_all": self._unsubscribe_all,
        }
        self._calls: dict[str, Method] = {
            "public/auth": self._log_in,
            "public/set_heartbeat": self._set_heartbeat,
            "public/disable_heartbeat": self._disable_heartbeat,
            "public/test": self._test,
        }

    def hear(self, text: str, now_ns: int, done_ns: Callable[[], int]) -> None:
        """Carry out one call and answer it; what a new subscription begins with comes after the answer."""
        request = read_request(text)
        outcome = PARSE_ERROR if request is None else self._outcome(request, now_ns)
        request_id = None if request is None else request.id
        self._client.connection.say(answer(request_id, outcome, now_ns, done_ns()).decode())
        fresh, self._fresh = self._fresh, []
        for channel in fresh:
            self._client.connection.script.silences(channel.instrument)
            self._board.add(self._client, channel)

    def _outcome(self, request: Request, now_ns: int) -> object:
        if (method := self._subscriptions.get(request.method)) is not None:
            is_affordable = self._client.subscribing.spend(now_ns)
        else:
            method, is_affordable = self._calls.get(request.method), self._client.calling.spend(now_ns)
        if not is_affordable:
            return TOO_MANY_REQUESTS
        if method is None:
            return self._queries.answer(request.method, request.params)
        return method(request.params, now_ns)

    def _log_in(self, params: Params, _: int) -> object:
        outcome = self._logins.log_in(params)
        if not isinstance(outcome, Refusal):
            self._client.is_logged_in = True
        return outcome

    def _set_heartbeat(self, params: Params, now_ns: int) -> object:
        interval_s = params.get("interval")
        if not isinstance(interval_s, int) or interval_s < HEARTBEAT_S_MIN:
            return invalid("interval", f"must be at least {HEARTBEAT_S_MIN}")
        self._client.ask_for_pulse(interval_s, now_ns)
        return "ok"

    def _disable_heartbeat(self, _: Params, __: int) -> object:
        self._client.pulse = None
        return "ok"

    def _test(self, params: Params, _: int) -> object:
        self._client.answered()
        return self._queries.answer("public/test", params)

    def _subscribe_privately(self, params: Params, now_ns: int) -> object:
        if not self._client.is_logged_in and not self._logins.opens(params.get("access_token")):
            return UNAUTHORIZED
        self._client.is_logged_in = True
        return self._subscribe(params, now_ns)

    def _subscribe(self, params: Params, _: int) -> object:
        names = _names(params)
        if names is None:
            return invalid("channels", f"must be 1 to {CHANNELS_MAX} names")
        read = [read_channel(name) for name in names]
        known = [one for one in read if one is not None and self._board.exists(one)]
        if (refusal := self._objection(known, has_unknown=len(known) < len(read))) is not None:
            return refusal
        self._fresh = [one for one in dict.fromkeys(known) if not self._board.listens(self._client, one)]
        # In an order of the venue's own.
        return [one.name for one in reversed(dict.fromkeys(known))]

    def _objection(self, channels: Sequence[Channel], *, has_unknown: bool) -> Refusal | None:
        # One bad channel and the whole request is refused.
        if not self._client.is_logged_in and any(one.needs_login for one in channels):
            return RAW_NEEDS_LOGIN
        if has_unknown and (refusal := UNKNOWN[self._modes.unknown_channel]) is not None:
            return refusal
        codes = (self._client.connection.rejects(one.instrument) for one in channels)
        code = next((code for code in codes if code is not None), None)
        if code is None:
            return None
        return BAD_REQUEST if code == UNTOLD else Refusal(code, "refused")

    def _unsubscribe(self, params: Params, _: int) -> object:
        names = _names(params)
        if names is None:
            return invalid("channels", f"must be 1 to {CHANNELS_MAX} names")
        channels = [one for one in map(read_channel, names) if one is not None]
        return [one.name for one in channels if self._remove(one)]

    def _unsubscribe_all(self, _: Params, __: int) -> object:
        for channel in self._board.channels_of(self._client):
            self._remove(channel)
        return "ok"

    def _remove(self, channel: Channel) -> bool:
        self._client.connection.script.forget(channel.instrument)
        return self._board.remove(self._client, channel)


def _names(params: Params) -> list[str] | None:
    names = params.get("channels")
    if not isinstance(names, list) or not 1 <= len(names) <= CHANNELS_MAX:
        return None
    return names if all(isinstance(name, str) for name in names) else None
