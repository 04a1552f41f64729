"""Reading of recordings: raw frames, the venue and channel each belongs to, and the recorded REST responses."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from components.contracts.errors import UsageError

# Parts of URLs that identify a venue, most specific first: recordings may come from any host.
VENUE_URL_MARKS = (
    ("/fapi/", "binanceum"),
    ("fstream", "binanceum"),
    ("/ws/v5/", "okx"),
    ("/api/v5/", "okx"),
    ("/api/v2", "deribit"),
    ("/api/v3/", "binance"),
    ("stream.binance", "binance"),
)
SELECTING_PARAMETERS = frozenset({"symbol", "instId", "instType", "instrument_name", "currency", "kind"})


class RecordedFrame(msgspec.Struct, frozen=True):
    """One line of a recording."""

    at_ns: int
    via: Literal["ws", "http"]
    url: str
    text: str


class _Argument(msgspec.Struct, frozen=True):
    channel: str = ""
    instId: str = ""  # noqa: N815 - the venue's word


class _ChannelFields(msgspec.Struct, frozen=True):
    """The fields of a frame that identify its channel, for all venues."""

    stream: str = ""
    arg: _Argument = _Argument()
    params: _Argument = _Argument()
    e: str = ""
    s: str = ""


def read_recording(path: Path) -> list[RecordedFrame]:
    """Read a whole recording into memory; served recordings are small."""
    try:
        lines = path.read_bytes().splitlines()
        return [msgspec.json.decode(line, type=RecordedFrame) for line in lines if line.strip()]
    except OSError as error:
        raise UsageError(f"--recording: {path}: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"--recording: {path}: not a recording ({error})") from error


def venue_of(frames: Iterable[RecordedFrame], path: Path) -> str:
    """Return the name of the venue that was recorded."""
    for frame in frames:
        for sign, name in VENUE_URL_MARKS:
            if sign in frame.url:
                return name
    raise UsageError(f"--recording: {path}: its URLs belong to no known venue")


def channel_of(text: str) -> str | None:
    """Return the channel of a frame as a subscription names it; None for replies and heartbeats."""
    try:
        fields = msgspec.json.decode(text, type=_ChannelFields)
    except (msgspec.MsgspecError, ValueError):
        return None
    if fields.stream or fields.params.channel:
        return without_interval(fields.stream or fields.params.channel)
    if fields.arg.channel:
        return f"{fields.arg.channel}:{fields.arg.instId}"
    if fields.s:
        return f"{fields.s.lower()}@{'depth' if fields.e == 'depthUpdate' else fields.e or 'bookTicker'}"
    return None


def without_interval(name: str) -> str:
    """Return a channel name without its interval: a client that asks for another interval gets the recorded one."""
    mark = "@" if "@" in name else "."
    return mark.join(name.split(mark)[:2])


class RecordedResponses:
    """The REST responses of a recording."""

    def __init__(self, frames: Iterable[RecordedFrame]) -> None:
        self._frames = [(frame, *_parts(frame.url)) for frame in frames if frame.via == "http"]

    def find(self, path: str, query: dict[str, str], at_ns: int) -> str | None:
        """Return the newest response to such a request up to a time, else the first one, else None."""
        wanted = {name: value for name, value in query.items() if name in SELECTING_PARAMETERS}
        matching = [
            frame
            for frame, recorded_path, parameters in self._frames
            if recorded_path == path and _matches(parameters, wanted)
        ]
        past = [frame for frame in matching if frame.at_ns <= at_ns]
        found = past[-1:] or matching[:1]
        return found[0].text if found else None


def _parts(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    return parts.path, dict(parse_qsl(parts.query))


def _matches(recorded: dict[str, str], wanted: dict[str, str]) -> bool:
    return all(recorded.get(name, value) == value for name, value in wanted.items())
