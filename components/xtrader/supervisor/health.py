"""Asks a component how it is, over its health port."""

import http.client
from dataclasses import dataclass
from typing import Final

import msgspec

RESPONSE_S_MAX: Final = 1.0
RESPONSE_BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a component is ready, and if not, what it waits for."""

    is_ready: bool
    detail: str


class _ReadyzBody(msgspec.Struct):
    unmet: tuple[str, ...] = ()


def probe_readiness(port: int | None) -> Readiness:
    """Ask /readyz; no port or no answer is not ready."""
    if port is None:
        return Readiness(is_ready=False, detail="starting")
    answer = _get(port, "/readyz")
    if answer is None:
        return Readiness(is_ready=False, detail="does not answer")
    status, body = answer
    return Readiness(is_ready=status == http.HTTPStatus.OK, detail=_unmet_conditions(body))


def fetch_metrics(port: int | None) -> str | None:
    """Fetch /metrics; None when nobody answers."""
    answer = None if port is None else _get(port, "/metrics")
    return answer[1] if answer and answer[0] == http.HTTPStatus.OK else None


def _unmet_conditions(body: str) -> str:
    try:
        return ", ".join(msgspec.json.decode(body, type=_ReadyzBody).unmet)
    except msgspec.MsgspecError:
        return body.strip()


def _get(port: int, path: str) -> tuple[int, str] | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=RESPONSE_S_MAX)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(RESPONSE_BYTES_MAX).decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
