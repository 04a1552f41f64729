"""The websocket endpoints of OKX: text pings, logins, subscriptions argument by argument."""

from components.sandbox.okx.board import Board
from components.sandbox.okx.channels import BOOKS, SERVED
from components.sandbox.okx.clients import Client
from components.sandbox.okx.frames import acknowledged, error, logged_in
from components.sandbox.okx.modes import Modes
from components.sandbox.okx.requests import (
    Argument,
    Operation,
    Request,
    is_signed,
    read_arguments,
    read_login,
    read_request,
)
from components.sandbox.server.store import Credentials

MALFORMED, UNKNOWN, LOGIN_FIRST, TIER_TOO_LOW = "60012", "60018", "60011", "64003"
TOO_OFTEN, LOGIN_FAILED = "60014", "60009"
UNTOLD = 1011  # what a fault's code is when nobody said otherwise
MESSAGES = {
    LOGIN_FIRST: "Please log in.",
    TIER_TOO_LOW: "Your trading fee tier doesn't meet the requirement to access this channel.",
    TOO_OFTEN: "Requests too frequent.",
    LOGIN_FAILED: "Login failed.",
}


class Dialogue:
    """What one client of one endpoint says, and what it is answered."""

    def __init__(self, client: Client, endpoint: str, board: Board, modes: Modes, credentials: Credentials) -> None:
        self._client, self._endpoint = client, endpoint
        self._board, self._modes, self._credentials = board, modes, credentials

    def hear(self, text: str, now_ns: int) -> None:
        """Answer one message."""
        if text == "ping":
            self._client.connection.say("pong")
            return
        request = read_request(text)
        if request is None:
            self._refuse(MALFORMED, None, f"Invalid request: {text[:1000]}")
        elif not self._client.asked.take(now_ns):
            self._refuse(TOO_OFTEN, request.id)
        elif request.op is Operation.LOGIN:
            self._log_in(request)
        else:
            self._change(request, text)

    def _log_in(self, request: Request) -> None:
        login = read_login(request)
        if login is None or not is_signed(login, self._credentials.key, self._credentials.secret):
            self._refuse(LOGIN_FAILED, request.id)
            return
        self._client.is_logged_in = True
        self._client.connection.say(logged_in(self._client.connection_id))

    def _change(self, request: Request, text: str) -> None:
        arguments = read_arguments(request)
        if arguments is None:
            self._refuse(MALFORMED, request.id, f"Invalid request: {text[:1000]}")
            return
        for argument in arguments:
            if request.op is Operation.SUBSCRIBE:
                self._subscribe(argument, request.id)
            else:
                self._unsubscribe(argument, request.id)

    def _subscribe(self, argument: Argument, request_id: str | None) -> None:
        if (code := self._objection(argument)) is not None:
            self._refuse(code, request_id, _unknown(argument) if code == UNKNOWN else None)
            return
        # A repeated subscription is confirmed like the first one, and changes nothing.
        is_new = not self._board.listens(self._client, argument)
        self._confirm("subscribe", argument, request_id)
        if is_new:
            self._client.connection.script.silences(argument.instId)
            self._board.add(self._client, argument)

    def _unsubscribe(self, argument: Argument, request_id: str | None) -> None:
        self._board.remove(self._client, argument)
        self._client.connection.script.forget(argument.instId)
        self._confirm("unsubscribe", argument, request_id)

    def _objection(self, argument: Argument) -> str | None:
        if argument.channel not in SERVED[self._endpoint] or argument.instId not in self._board.numbering:
            return UNKNOWN
        if (rejected := self._client.connection.rejects(argument.instId)) is not None:
            return UNKNOWN if rejected == UNTOLD else str(rejected)
        if argument.channel in BOOKS and BOOKS[argument.channel].needs_login:
            if not self._client.is_logged_in:
                return LOGIN_FIRST
            return None if self._modes.vip else TIER_TOO_LOW
        return None

    def _confirm(self, event: str, argument: Argument, request_id: str | None) -> None:
        self._client.connection.say(acknowledged(event, argument, request_id, self._client.connection_id))

    def _refuse(self, code: str, request_id: str | None, message: str | None = None) -> None:
        text = message or MESSAGES.get(code, "The request was refused.")
        self._client.connection.say(error(code, text, request_id, self._client.connection_id))


def _unknown(argument: Argument) -> str:
    return (
        f"Wrong URL or channel:{argument.channel},instId:{argument.instId} doesn't exist. "
        "Please use the correct URL, channel and parameters referring to API document."
    )
