"""What a client says to an OKX socket, read into values; what cannot be read is no request."""

import base64
import hmac
from enum import StrEnum

import msgspec
from msgspec import Struct

REQUEST_BYTES_MAX = 64 * 1024
_LOGIN_PATH = "GET/users/self/verify"


class Operation(StrEnum):
    """What may be asked."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    LOGIN = "login"


class ChannelArgument(Struct, frozen=True, omit_defaults=True):
    """One channel of one instrument."""

    channel: str
    instId: str = ""  # noqa: N815 - the venue's word


class LoginArgument(Struct, frozen=True):
    """The proof that a client holds a key: a signature of the time."""

    apiKey: str  # noqa: N815 - the venue's word
    timestamp: str
    sign: str
    passphrase: str = ""


class Request(Struct, frozen=True):
    """A request with its arguments still to be read."""

    op: Operation
    args: list[msgspec.Raw]
    id: str | None = None


def parse_request(text: str) -> Request | None:
    """Read a request; nothing where the text is none."""
    if len(text) > REQUEST_BYTES_MAX:
        return None
    try:
        return msgspec.json.decode(text, type=Request)
    except (msgspec.MsgspecError, ValueError):
        return None


def parse_arguments(request: Request) -> list[ChannelArgument] | None:
    """Read the channels a request names; nothing where one of them is malformed or there are none."""
    try:
        return [msgspec.json.decode(one, type=ChannelArgument) for one in request.args] or None
    except (msgspec.MsgspecError, ValueError):
        return None


def parse_login(request: Request) -> LoginArgument | None:
    """Read the first login of a request; nothing where there is none."""
    try:
        return msgspec.json.decode(request.args[0], type=LoginArgument)
    except (msgspec.MsgspecError, ValueError, IndexError):
        return None


def is_valid_login(login: LoginArgument, key: str, secret: str) -> bool:
    """Tell whether a login carries this key and was signed with its secret."""
    digest = hmac.digest(secret.encode(), (login.timestamp + _LOGIN_PATH).encode(), "sha256")
    return hmac.compare_digest(login.sign.encode(), base64.b64encode(digest)) and login.apiKey == key
