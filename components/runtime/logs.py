"""Structured log lines on standard error. Standard output carries only a command's result."""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from threading import Lock
from typing import Any, Final, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger
from typing_extensions import override

from components.runtime.clock import NS_PER_S, Clock, SystemClock

REDACTED: Final = "***"
REDACTED_LENGTH_MIN: Final = 8
"""The length in characters. A shorter secret would redact words that contain it by coincidence."""
_secrets: set[str] = set()
_encoder: Final = msgspec.json.Encoder(enc_hook=str, decimal_format="string")


class LogFormat(StrEnum):
    """How log lines are written."""

    AUTO = "auto"
    JSON = "json"
    READABLE = "readable"


class LogLevel(StrEnum):
    """The lowest level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def configure(
    service: str,
    *,
    clock: Clock | None = None,
    level: LogLevel = LogLevel.INFO,
    style: LogFormat = LogFormat.AUTO,
    to: TextIO | None = None,
) -> FilteringBoundLogger:
    """Send this process's events and its libraries' warnings to one stream. Return its logger."""
    is_readable = style is LogFormat.READABLE or (style is LogFormat.AUTO and (to or sys.stderr).isatty())
    number = logging.getLevelNamesMapping()[level.value.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _AddTimestamp(service, clock or SystemClock()),
            structlog.processors.format_exc_info,
            _readable_line if is_readable else _json_line,
            _without_secrets,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: _LineWriter(to),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(handlers=[_LibraryLogHandler()], level=logging.WARNING, force=True)
    return logger()


def logger() -> FilteringBoundLogger:
    """Return the logger of the process. Before `configure` it logs as service xtrader."""
    if not structlog.is_configured():
        return configure("xtrader")
    made: FilteringBoundLogger = structlog.get_logger().bind()
    return made


def redact(secret: str) -> None:
    """Redact this text in every log line from now on, unless it is shorter than REDACTED_LENGTH_MIN."""
    if len(secret) >= REDACTED_LENGTH_MIN:
        _secrets.add(secret)


class _LineWriter:
    """Writes each line as a whole. If standard error cannot be written, the line is lost and the process continues."""

    _lock = Lock()

    def __init__(self, to: TextIO | None) -> None:
        self._to = to

    def msg(self, line: str) -> None:
        to = self._to or sys.stderr
        with self._lock, suppress(OSError):
            to.write(f"{line}\n")
            to.flush()

    debug = info = warning = error = critical = msg


@dataclass(frozen=True, slots=True)
class _AddTimestamp:
    """Adds the time and the name of the executable."""

    service: str
    clock: Clock

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        seconds, rest_ns = divmod(self.clock.now_ns(), NS_PER_S)
        at = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return {
            "ts": f"{at}.{rest_ns // 1_000:06d}Z",
            "level": event.pop("level"),
            "event": event.pop("event"),
            "service": self.service,
            **event,
        }


class _LibraryLogHandler(logging.Handler):
    """Converts log records of libraries to our events."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        fields = {"library": record.name, "detail": record.getMessage(), "exc_info": record.exc_info}
        logger().log(record.levelno, "library_log", **fields)


def _json_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _encoder.encode(_plain(event)).decode()


def _plain(event: Mapping[str, Any]) -> dict[str, Any]:
    # A string with lone surrogates (a file name, a peer's bytes) is the only string that JSON cannot encode.
    return {key: _clean(value) if isinstance(value, str) else value for key, value in event.items()}


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _readable_line(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    at, level, name = event.pop("ts")[11:23], event.pop("level"), event.pop("event")
    service, trace = event.pop("service"), event.pop("exception", "")
    fields = " ".join(f"{key}={_field_text(value)}" for key, value in event.items())
    line = f"{at} {level:<7} {service:<11} {name} {fields}".rstrip()
    return f"{line}\n{trace}" if trace else line


def _field_text(value: object) -> str:
    text = str(value)
    return text if text and text.isprintable() and " " not in text else repr(text)


def _without_secrets(_logger: WrappedLogger, _method: str, line: Any) -> str:  # noqa: ANN401  # the renderer's text
    text: str = line
    for secret in _secrets:
        text = text.replace(secret, REDACTED)
    return text
