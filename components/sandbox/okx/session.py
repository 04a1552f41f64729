"""One client connection of the simulated OKX: text pings, logins, subscriptions argument by argument."""

from components.sandbox.okx.book_channels import BOOKS, ENDPOINT_CHANNELS
from components.sandbox.okx.messages import (
    BehaviorSettings,
    ChannelArgument,
    Operation,
    Request,
    error_message,
    is_valid_login,
    login_ack,
    parse_arguments,
    parse_login,
    parse_request,
    subscription_ack,
)
from components.sandbox.okx.publisher import Client, Publisher
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.faults import DEFAULT_CODE

MALFORMED, UNKNOWN, LOGIN_FIRST, TIER_TOO_LOW = "60012", "60018", "60011", "64003"
TOO_OFTEN, LOGIN_FAILED = "60014", "60009"
MESSAGES = {
    LOGIN_FIRST: "Please log in.",
    TIER_TOO_LOW: "Your trading fee tier doesn't meet the requirement to access this channel.",
    TOO_OFTEN: "Requests too frequent.",
    LOGIN_FAILED: "Login failed.",
}


class ClientSession:
    """Handles the messages of one client of one endpoint."""

    def __init__(
        self, client: Client, endpoint: str, publisher: Publisher, behavior: BehaviorSettings, credentials: Credentials
    ) -> None:
        self._client, self._endpoint = client, endpoint
        self._publisher, self._behavior, self._credentials = publisher, behavior, credentials

    def on_message(self, text: str, now_ns: int) -> None:
        """Handle one message and reply to it."""
        if text == "ping":
            self._client.connection.send("pong")
            return
        request = parse_request(text)
        if request is None:
            self._send_error(MALFORMED, None, f"Invalid request: {text[:1000]}")
        elif not self._client.subscription_limit.try_acquire(now_ns):
            self._send_error(TOO_OFTEN, request.id)
        elif request.op is Operation.LOGIN:
            self._log_in(request)
        else:
            self._change_subscriptions(request, text)

    def _log_in(self, request: Request) -> None:
        login = parse_login(request)
        if login is None or not is_valid_login(login, self._credentials.key, self._credentials.secret):
            self._send_error(LOGIN_FAILED, request.id)
            return
        self._client.is_logged_in = True
        self._client.connection.send(login_ack(self._client.connection_id))

    def _change_subscriptions(self, request: Request, text: str) -> None:
        arguments = parse_arguments(request)
        if arguments is None:
            self._send_error(MALFORMED, request.id, f"Invalid request: {text[:1000]}")
            return
        for argument in arguments:
            if request.op is Operation.SUBSCRIBE:
                self._subscribe(argument, request.id)
            else:
                self._unsubscribe(argument, request.id)

    def _subscribe(self, argument: ChannelArgument, request_id: str | None) -> None:
        if (code := self._rejection_code(argument)) is not None:
            self._send_error(code, request_id, _unknown_channel_text(argument) if code == UNKNOWN else None)
            return
        # A repeated subscription is confirmed like the first one and changes nothing.
        is_new = not self._publisher.is_subscribed(self._client, argument)
        self._send_ack("subscribe", argument, request_id)
        if is_new:
            self._client.connection.fault_injector.maybe_never_serve(argument.instId)
            self._publisher.subscribe(self._client, argument)

    def _unsubscribe(self, argument: ChannelArgument, request_id: str | None) -> None:
        self._publisher.unsubscribe(self._client, argument)
        self._client.connection.fault_injector.on_unsubscribe(argument.instId)
        self._send_ack("unsubscribe", argument, request_id)

    def _rejection_code(self, argument: ChannelArgument) -> str | None:
        if (
            argument.channel not in ENDPOINT_CHANNELS[self._endpoint]
            or argument.instId not in self._publisher.sequence_ids
        ):
            return UNKNOWN
        if (rejected := self._client.connection.rejection_code(argument.instId)) is not None:
            return UNKNOWN if rejected == DEFAULT_CODE else str(rejected)
        if argument.channel in BOOKS and BOOKS[argument.channel].needs_login:
            if not self._client.is_logged_in:
                return LOGIN_FIRST
            return None if self._behavior.vip else TIER_TOO_LOW
        return None

    def _send_ack(self, event: str, argument: ChannelArgument, request_id: str | None) -> None:
        self._client.connection.send(subscription_ack(event, argument, request_id, self._client.connection_id))

    def _send_error(self, code: str, request_id: str | None, message: str | None = None) -> None:
        text = message or MESSAGES.get(code, "The request was refused.")
        self._client.connection.send(error_message(code, text, request_id, self._client.connection_id))


def _unknown_channel_text(argument: ChannelArgument) -> str:
    return (
        f"Wrong URL or channel:{argument.channel},instId:{argument.instId} doesn't exist. "
        "Please use the correct URL, channel and parameters referring to API document."
    )
