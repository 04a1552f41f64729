"""What Deribit says beside its data: answers to requests, errors, and tests of whether we are alive."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw

from components.market_data.core.feed import Odd, Oddity
from components.market_data.venues.deribit import limits
from components.market_data.venues.deribit.login import Grant, Login
from components.market_data.venues.deribit.messages import Failure, Message
from components.market_data.venues.deribit.subscribe import (
    HEARTBEAT_ID,
    LOGIN_ID,
    RENEWAL_ID,
    TEST_ID,
    Request,
    Requests,
    probe,
)
from components.market_data.venues.dialect import (
    Alive,
    Confirmed,
    Control,
    Greeted,
    Leaving,
    Read,
    Refused,
    Say,
    Unsubscribed,
)

DETAIL_MAX: Final = 160

_names: Final = msgspec.json.Decoder(list[str])
_grants: Final = msgspec.json.Decoder(Grant)


class Answers:
    """Reads what is no data, and knows what it answers."""

    def __init__(self, requests: Requests, login: Login | None) -> None:
        self._requests = requests
        self._login = login

    def read(self, message: Message, at_ns: int) -> Read:
        """Read one."""
        if message.method == "heartbeat":
            return Read(control=self._heartbeat(message.params.type, at_ns))
        if message.error is not None:
            return self._failed(message.id, message.error)
        if message.id is None or not message.result:
            return Read((Odd(Oddity.UNKNOWN, f"neither notice nor answer: {message.method[:DETAIL_MAX]}"),))
        return Read(control=self._answered(message.id, message.result, at_ns))

    def _heartbeat(self, kind: str, at_ns: int) -> Sequence[Control]:
        said: list[Control] = [Say(probe()) if kind == "test_request" else Alive()]
        renewal = None if self._login is None else self._login.renewal(at_ns)
        return said if renewal is None else [*said, Say(renewal)]

    def _answered(self, request_id: int, result: Raw, at_ns: int) -> Sequence[Control]:
        if request_id in {LOGIN_ID, RENEWAL_ID}:
            if self._login is not None:
                self._login.granted(_grants.decode(result), at_ns)
            return (Greeted(),) if request_id == LOGIN_ID else (Alive(),)
        if request_id in {HEARTBEAT_ID, TEST_ID}:
            return (Alive(),)
        names = tuple(_names.decode(result))
        request = self._requests.answered(request_id, names)
        if request is None:
            return (Confirmed(names, request_id),)
        if request.ends:
            return (Unsubscribed(request.names, request_id),)
        return _begun(request, names, request_id)

    def _failed(self, request_id: int | None, failure: Failure) -> Read:
        reason, is_permanent = limits.explain(failure.code, failure.message), limits.is_permanent(failure.code)
        if request_id == LOGIN_ID:
            return Read(control=(Refused((), f"login refused: {reason}", is_permanent),))
        if request_id == RENEWAL_ID:
            # A new connection logs in by key and secret.
            return Read(control=(Leaving(f"login not renewed: {reason}"),))
        request = None if request_id is None else self._requests.answered(request_id)
        if request is None:
            return Read((Odd(Oddity.UNKNOWN, f"an error that answers nothing: {reason}"[:DETAIL_MAX]),))
        return Read(control=_turned_down(request, failure, reason, request_id))


def _begun(request: Request, names: Sequence[str], request_id: int) -> Sequence[Control]:
    begun, missing = _split(request.names, set(names))
    said: list[Control] = []
    if begun:
        said.append(Confirmed(begun, request_id))
    if missing:
        reason = f"the venue left out of the subscription: {', '.join(missing)}"
        said.append(Refused(missing, reason, is_permanent=True, request_id=request_id))
    return said


def _turned_down(request: Request, failure: Failure, reason: str, request_id: int | None) -> Sequence[Control]:
    # One bad channel turns the whole request down: where the venue says which, the others may be asked for again.
    told = bytes(failure.data).decode("utf-8", "replace") + failure.message
    bad, others = _split(request.names, {name for name in request.names if name in told})
    is_permanent = limits.is_permanent(failure.code)
    if not bad or not others:
        return (Refused(request.names, reason, is_permanent, request_id),)
    return (
        Refused(bad, reason, is_permanent, request_id),
        Refused(others, f"asked for together with {', '.join(bad)}", is_permanent=False, request_id=request_id),
    )


def _split(names: Sequence[str], chosen: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(name for name in names if name in chosen), tuple(name for name in names if name not in chosen)
