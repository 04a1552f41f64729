"""What OKX says beside data: confirmations, refusals, and that it is about to leave."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from components.market_data.core.feed import DecodeIssue, IssueKind
from components.market_data.venues.dialect import (
    Authenticated,
    ControlMessage,
    Decoded,
    Heartbeat,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    UnsubscribeAck,
)
from components.market_data.venues.okx.frames import EventMessage
from components.market_data.venues.okx.limits import SHUTDOWN_NOTICE_CODE, is_permanent_code
from components.market_data.venues.okx.subscribe import topic_name

DETAIL_CHARACTERS_MAX: Final = 200
_TOPIC_IN_TEXT: Final = re.compile(r'channel"?\s*:\s*"?([\w-]{1,40})"?\s*,\s*"?instId"?\s*:\s*"?([\w.-]{1,60})')
_event_decoder: Final = msgspec.json.Decoder(EventMessage)


def decode_event(frame: bytes) -> Decoded:
    """Read one event; ValueError or msgspec's own errors where it is none."""
    event = _event_decoder.decode(frame)
    control = _control(event)
    if control is None:
        return Decoded(data=(DecodeIssue(IssueKind.UNKNOWN, f"event {event.event[:40]} {event.code[:20]}"),))
    return Decoded(control=(control,))


def _control(event: EventMessage) -> ControlMessage | None:
    reader = _READERS.get(event.event)
    return None if reader is None else reader(event)


def _notice(event: EventMessage) -> ShutdownNotice | Heartbeat:
    return ShutdownNotice(event.msg[:DETAIL_CHARACTERS_MAX]) if event.code == SHUTDOWN_NOTICE_CODE else Heartbeat()


def _rejection(event: EventMessage) -> SubscribeRejected:
    reason = f"{event.code}: {event.msg}"[:DETAIL_CHARACTERS_MAX]
    names = _names(event) or tuple(dict.fromkeys(_names_within(event.msg)))
    return SubscribeRejected(
        names, reason, is_permanent_code(event.code), int(event.id) if event.id.isdecimal() else None
    )


def _names(event: EventMessage) -> tuple[str, ...]:
    return () if event.arg is None else (topic_name(event.arg.channel, event.arg.inst_id),)


def _names_within(message: str) -> Iterator[str]:
    return (topic_name(*found.groups()) for found in _TOPIC_IN_TEXT.finditer(message))


_READERS: Final[dict[str, Callable[[EventMessage], ControlMessage]]] = {
    "subscribe": lambda event: SubscribeAck(_names(event)),
    "unsubscribe": lambda event: UnsubscribeAck(_names(event)),
    "error": _rejection,
    "notice": _notice,
    "login": lambda _: Authenticated(),
    "channel-conn-count": lambda _: Heartbeat(),
}
