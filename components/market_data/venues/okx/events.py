"""What OKX says beside data: confirmations, refusals, and that it is about to leave."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from components.market_data.core.feed import Odd, Oddity
from components.market_data.venues.dialect import (
    Alive,
    Confirmed,
    Control,
    Greeted,
    Leaving,
    Read,
    Refused,
    Unsubscribed,
)
from components.market_data.venues.okx.frames import Event
from components.market_data.venues.okx.limits import CLOSING_CODE, is_permanent
from components.market_data.venues.okx.subscribe import name_of

DETAIL_CHARACTERS_MAX: Final = 200
_NAMED: Final = re.compile(r'channel"?\s*:\s*"?([\w-]{1,40})"?\s*,\s*"?instId"?\s*:\s*"?([\w.-]{1,60})')
_EVENT: Final = msgspec.json.Decoder(Event)


def read_event(frame: bytes) -> Read:
    """Read one event; ValueError or msgspec's own errors where it is none."""
    event = _EVENT.decode(frame)
    control = _control(event)
    if control is None:
        return Read(data=(Odd(Oddity.UNKNOWN, f"event {event.event[:40]} {event.code[:20]}"),))
    return Read(control=(control,))


def _control(event: Event) -> Control | None:
    reader = _READERS.get(event.event)
    return None if reader is None else reader(event)


def _leaving(event: Event) -> Leaving | Alive:
    return Leaving(event.msg[:DETAIL_CHARACTERS_MAX]) if event.code == CLOSING_CODE else Alive()


def _refused(event: Event) -> Refused:
    reason = f"{event.code}: {event.msg}"[:DETAIL_CHARACTERS_MAX]
    names = _names(event) or tuple(dict.fromkeys(_names_within(event.msg)))
    return Refused(names, reason, is_permanent(event.code), int(event.id) if event.id.isdecimal() else None)


def _names(event: Event) -> tuple[str, ...]:
    return () if event.arg is None else (name_of(event.arg.channel, event.arg.inst_id),)


def _names_within(message: str) -> Iterator[str]:
    return (name_of(*found.groups()) for found in _NAMED.finditer(message))


_READERS: Final[dict[str, Callable[[Event], Control]]] = {
    "subscribe": lambda event: Confirmed(_names(event)),
    "unsubscribe": lambda event: Unsubscribed(_names(event)),
    "error": _refused,
    "notice": _leaving,
    "login": lambda _: Greeted(),
    "channel-conn-count": lambda _: Alive(),
}
