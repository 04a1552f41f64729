"""The manners of this venue that nobody can rely on, settable while it runs."""

from dataclasses import dataclass

from components.sandbox.core.refusals import invalid_request
from components.sandbox.deribit.refusals import BAD_REQUEST, RpcError
from components.sandbox.deribit.refusals import invalid_params as invalid_parameter
from components.sandbox.server.replies import ApiErrorRaised

# What a subscription to a channel that does not exist is answered with; nothing where it is only left out.
UNKNOWN_CHANNEL_ERRORS: dict[str, RpcError | None] = {
    "omit": None,
    "11050": BAD_REQUEST,
    "-32602": invalid_parameter("channels", "unknown channel"),
}


@dataclass(slots=True)
class BehaviorSettings:
    """How the venue behaves now; at first as the real one does today."""

    unknown_channel: str = "omit"

    def set(self, name: str, value: str) -> None:
        """Change one manner by name."""
        if name != "unknown_channel":
            raise ApiErrorRaised(invalid_request(f"no mode {name!r}, there is unknown_channel"))
        if value not in UNKNOWN_CHANNEL_ERRORS:
            raise ApiErrorRaised(invalid_request(f"mode {name!r} is one of {', '.join(UNKNOWN_CHANNEL_ERRORS)}"))
        self.unknown_channel = value
