"""What Deribit says beside its data: answers to requests, errors, and tests of whether we are alive."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw

from components.market_data.core.feed import DecodeIssue, IssueKind
from components.market_data.venues.deribit import limits
from components.market_data.venues.deribit.login import Authenticator, TokenGrant
from components.market_data.venues.deribit.messages import ErrorMessage, Message
from components.market_data.venues.deribit.subscribe import (
    HEARTBEAT_ID,
    LOGIN_ID,
    REFRESH_ID,
    TEST_ID,
    PendingRequest,
    PendingRequests,
    test_message,
)
from components.market_data.venues.dialect import (
    Authenticated,
    ControlMessage,
    Decoded,
    Heartbeat,
    Reply,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    UnsubscribeAck,
)

DETAIL_CHARACTERS_MAX: Final = 160

_names_decoder: Final = msgspec.json.Decoder(list[str])
_token_decoder: Final = msgspec.json.Decoder(TokenGrant)


class ReplyDecoder:
    """Reads what is no data, and knows what it answers."""

    def __init__(self, requests: PendingRequests, login: Authenticator | None) -> None:
        self._pending = requests
        self._login = login

    def decode(self, message: Message, at_ns: int) -> Decoded:
        """Read one."""
        if message.method == "heartbeat":
            return Decoded(control=self._heartbeat(message.params.type, at_ns))
        if message.error is not None:
            return self._on_error(message.id, message.error)
        if message.id is None or not message.result:
            return Decoded(
                (
                    DecodeIssue(
                        IssueKind.UNKNOWN, f"neither notice nor answer: {message.method[:DETAIL_CHARACTERS_MAX]}"
                    ),
                )
            )
        return Decoded(control=self._on_result(message.id, message.result, at_ns))

    def _heartbeat(self, kind: str, at_ns: int) -> Sequence[ControlMessage]:
        said: list[ControlMessage] = [Reply(test_message()) if kind == "test_request" else Heartbeat()]
        renewal = None if self._login is None else self._login.refresh_message(at_ns)
        return said if renewal is None else [*said, Reply(renewal)]

    def _on_result(self, request_id: int, result: Raw, at_ns: int) -> Sequence[ControlMessage]:
        if request_id in {LOGIN_ID, REFRESH_ID}:
            if self._login is not None:
                self._login.on_grant(_token_decoder.decode(result), at_ns)
            return (Authenticated(),) if request_id == LOGIN_ID else (Heartbeat(),)
        if request_id in {HEARTBEAT_ID, TEST_ID}:
            return (Heartbeat(),)
        names = tuple(_names_decoder.decode(result))
        request = self._pending.pop(request_id, names)
        if request is None:
            return (SubscribeAck(names, request_id),)
        if request.is_unsubscribe:
            return (UnsubscribeAck(request.names, request_id),)
        return _subscribed(request, names, request_id)

    def _on_error(self, request_id: int | None, failure: ErrorMessage) -> Decoded:
        reason, is_permanent = limits.explain(failure.code, failure.message), limits.is_permanent_code(failure.code)
        if request_id == LOGIN_ID:
            return Decoded(control=(SubscribeRejected((), f"login refused: {reason}", is_permanent),))
        if request_id == REFRESH_ID:
            # A new connection logs in by key and secret.
            return Decoded(control=(ShutdownNotice(f"login not renewed: {reason}"),))
        request = None if request_id is None else self._pending.pop(request_id)
        if request is None:
            return Decoded(
                (DecodeIssue(IssueKind.UNKNOWN, f"an error that answers nothing: {reason}"[:DETAIL_CHARACTERS_MAX]),)
            )
        return Decoded(control=_rejected(request, failure, reason, request_id))


def _subscribed(request: PendingRequest, names: Sequence[str], request_id: int) -> Sequence[ControlMessage]:
    begun, missing = _split(request.names, set(names))
    said: list[ControlMessage] = []
    if begun:
        said.append(SubscribeAck(begun, request_id))
    if missing:
        reason = f"the venue left out of the subscription: {', '.join(missing)}"
        said.append(SubscribeRejected(missing, reason, is_permanent=True, request_id=request_id))
    return said


def _rejected(
    request: PendingRequest, failure: ErrorMessage, reason: str, request_id: int | None
) -> Sequence[ControlMessage]:
    # One bad channel turns the whole request down: where the venue says which, the others may be asked for again.
    told = bytes(failure.data).decode("utf-8", "replace") + failure.message
    bad, others = _split(request.names, {name for name in request.names if name in told})
    is_permanent = limits.is_permanent_code(failure.code)
    if not bad or not others:
        return (SubscribeRejected(request.names, reason, is_permanent, request_id),)
    return (
        SubscribeRejected(bad, reason, is_permanent, request_id),
        SubscribeRejected(
            others, f"asked for together with {', '.join(bad)}", is_permanent=False, request_id=request_id
        ),
    )


def _split(names: Sequence[str], chosen: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(name for name in names if name in chosen), tuple(name for name in names if name not in chosen)
