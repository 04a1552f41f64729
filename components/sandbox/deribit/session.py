"""One client connection of the simulated Deribit: its calls and replies, and the venue's behavior settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.sandbox.deribit.book_channels import Channel, parse_channel
from components.sandbox.deribit.messages import (
    BAD_REQUEST,
    PARSE_ERROR,
    RAW_NEEDS_LOGIN,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
    RpcError,
    RpcRequest,
    encode_reply,
    invalid_params,
    parse_request,
)
from components.sandbox.deribit.public_methods import Params, PublicMethods, TokenIssuer
from components.sandbox.deribit.publisher import Client, Publisher
from components.sandbox.transport.faults import DEFAULT_CODE
from components.sandbox.transport.http_server import AdminError

# The error of a subscription to an unknown channel; None where the reply only omits the channel.
UNKNOWN_CHANNEL_ERRORS: dict[str, RpcError | None] = {
    "omit": None,
    "11050": BAD_REQUEST,
    "-32602": invalid_params("channels", "unknown channel"),
}
HEARTBEAT_S_MIN = 10
CHANNELS_MAX = 500
Method = Callable[[Params, int], object]


@dataclass(slots=True)
class BehaviorSettings:
    """The current behavior of the venue; the defaults are those of the real venue today."""

    unknown_channel: str = "omit"

    def set(self, name: str, value: str) -> None:
        """Change one setting by name."""
        if name != "unknown_channel":
            raise AdminError(f"no mode {name!r}, there is unknown_channel")
        if value not in UNKNOWN_CHANNEL_ERRORS:
            raise AdminError(f"mode {name!r} is one of {', '.join(UNKNOWN_CHANNEL_ERRORS)}")
        self.unknown_channel = value


class ClientSession:
    """Handles the calls of one client."""

    def __init__(
        self,
        client: Client,
        publisher: Publisher,
        public_methods: PublicMethods,
        token_issuer: TokenIssuer,
        behavior: BehaviorSettings,
    ) -> None:
        self._client, self._publisher = client, publisher
        self._public_methods, self._token_issuer, self._behavior = public_methods, token_issuer, behavior
        self._new_channels: list[Channel] = []
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

    def on_message(self, text: str, now_ns: int, done_ns: Callable[[], int]) -> None:
        """Handle one call and reply to it; the initial message of a new subscription follows the reply."""
        request = parse_request(text)
        outcome = PARSE_ERROR if request is None else self._outcome(request, now_ns)
        request_id = None if request is None else request.id
        self._client.connection.send(encode_reply(request_id, outcome, now_ns, done_ns()).decode())
        new_channels, self._new_channels = self._new_channels, []
        for channel in new_channels:
            self._client.connection.fault_injector.maybe_never_serve(channel.instrument)
            self._publisher.subscribe(self._client, channel)

    def _outcome(self, request: RpcRequest, now_ns: int) -> object:
        if (method := self._subscriptions.get(request.method)) is not None:
            is_affordable = self._client.subscription_credits.try_acquire(now_ns)
        else:
            method, is_affordable = self._calls.get(request.method), self._client.call_credits.try_acquire(now_ns)
        if not is_affordable:
            return TOO_MANY_REQUESTS
        if method is None:
            return self._public_methods.call(request.method, request.params)
        return method(request.params, now_ns)

    def _log_in(self, params: Params, _: int) -> object:
        outcome = self._token_issuer.authenticate(params)
        if not isinstance(outcome, RpcError):
            self._client.is_logged_in = True
        return outcome

    def _set_heartbeat(self, params: Params, now_ns: int) -> object:
        interval_s = params.get("interval")
        if not isinstance(interval_s, int) or interval_s < HEARTBEAT_S_MIN:
            return invalid_params("interval", f"must be at least {HEARTBEAT_S_MIN}")
        self._client.start_heartbeat(interval_s, now_ns)
        return "ok"

    def _disable_heartbeat(self, _: Params, __: int) -> object:
        self._client.heartbeat = None
        return "ok"

    def _test(self, params: Params, _: int) -> object:
        self._client.on_heartbeat_reply()
        return self._public_methods.call("public/test", params)

    def _subscribe_privately(self, params: Params, now_ns: int) -> object:
        if not self._client.is_logged_in and not self._token_issuer.is_valid_token(params.get("access_token")):
            return UNAUTHORIZED
        self._client.is_logged_in = True
        return self._subscribe(params, now_ns)

    def _subscribe(self, params: Params, _: int) -> object:
        names = _names(params)
        if names is None:
            return invalid_params("channels", f"must be 1 to {CHANNELS_MAX} names")
        parsed = [parse_channel(name) for name in names]
        known = [one for one in parsed if one is not None and self._publisher.exists(one)]
        if (rejection := self._rejection(known, has_unknown=len(known) < len(parsed))) is not None:
            return rejection
        self._new_channels = [
            one for one in dict.fromkeys(known) if not self._publisher.is_subscribed(self._client, one)
        ]
        # In an order of the venue's own.
        return [one.name for one in reversed(dict.fromkeys(known))]

    def _rejection(self, channels: Sequence[Channel], *, has_unknown: bool) -> RpcError | None:
        # One bad channel rejects the whole request.
        if not self._client.is_logged_in and any(one.needs_login for one in channels):
            return RAW_NEEDS_LOGIN
        if has_unknown and (rejection := UNKNOWN_CHANNEL_ERRORS[self._behavior.unknown_channel]) is not None:
            return rejection
        codes = (self._client.connection.rejection_code(one.instrument) for one in channels)
        code = next((code for code in codes if code is not None), None)
        if code is None:
            return None
        return BAD_REQUEST if code == DEFAULT_CODE else RpcError(code, "refused")

    def _unsubscribe(self, params: Params, _: int) -> object:
        names = _names(params)
        if names is None:
            return invalid_params("channels", f"must be 1 to {CHANNELS_MAX} names")
        channels = [one for one in map(parse_channel, names) if one is not None]
        return [one.name for one in channels if self._remove(one)]

    def _unsubscribe_all(self, _: Params, __: int) -> object:
        for channel in self._publisher.channels_of(self._client):
            self._remove(channel)
        return "ok"

    def _remove(self, channel: Channel) -> bool:
        self._client.connection.fault_injector.on_unsubscribe(channel.instrument)
        return self._publisher.unsubscribe(self._client, channel)


def _names(params: Params) -> list[str] | None:
    names = params.get("channels")
    if not isinstance(names, list) or not 1 <= len(names) <= CHANNELS_MAX:
        return None
    return names if all(isinstance(name, str) for name in names) else None
