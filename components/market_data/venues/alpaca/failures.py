"""What Alpaca's complaints mean for the connection: try again later, or stop, for trying again cannot help."""

from typing import Final

from components.contracts.errors import VenueRejected, VenueUnavailable

RETRYABLE_CODES: Final = {
    401: "not authenticated",
    403: "already authenticated",
    404: "authentication came too late",
    406: "the account's one connection is still held, perhaps by our last one",
    407: "we read too slowly",
    500: "internal error of the venue",
}
PERMANENT_CODES: Final = {
    400: "the venue does not understand the subscription (is every symbol one of its own?)",
    402: "key and secret are refused",
    405: "more symbols than the plan allows",
    408: "this stream is not enabled for the account",
    409: "the plan does not include this feed",
    410: "this feed does not know the subscription",
    411: "the key may not read market data",
    412: "this feed speaks only msgpack",
    413: "this feed allows no star",
}


def error_from_code(code: int, message: str) -> VenueRejected | VenueUnavailable:
    """Sort an error frame; a code nobody documented may pass, so it is tried again."""
    if code in PERMANENT_CODES:
        return VenueRejected(f"{code} {message}: {PERMANENT_CODES[code]}")
    return VenueUnavailable(f"{code} {message}: {RETRYABLE_CODES.get(code, 'unknown code')}")


def error_from_status(status: int) -> VenueRejected | VenueUnavailable:
    """Sort an HTTP answer to the upgrade: only a refusal that is about us is final."""
    if 300 <= status < 500 and status != 429:
        return VenueRejected(f"the venue refuses the connection with HTTP {status}: are stream_url and the keys right?")
    return VenueUnavailable(f"the venue answers the connection with HTTP {status}")
