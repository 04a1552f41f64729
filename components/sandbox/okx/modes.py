"""The manners of this venue that differ between years and hosts, settable while it runs."""

from dataclasses import dataclass

from components.sandbox.core.refusals import invalid
from components.sandbox.okx.frames import ChecksumMode
from components.sandbox.server.replies import Refused

SWITCH = {"on": True, "off": False}
CHOICES: dict[str, dict[str, object]] = {
    "checksum": {str(one): one for one in ChecksumMode},
    "ws_snapshot": dict(SWITCH),
    "rest_seq_id": dict(SWITCH),
    "vip": dict(SWITCH),
}


@dataclass(slots=True)
class Modes:
    """How the venue behaves now; at first as the real one does today."""

    checksum: ChecksumMode = ChecksumMode.ZERO
    ws_snapshot: bool = True  # a new subscriber of a chained channel is told the whole book
    rest_seq_id: bool = True  # REST books say at which id they stand
    vip: bool = False  # the fee tier of whoever logs in suffices for tick-by-tick books

    def set(self, name: str, value: str) -> None:
        """Change one manner by name."""
        if name not in CHOICES:
            raise Refused(invalid(f"no mode {name!r}, there are {', '.join(CHOICES)}"))
        if value not in CHOICES[name]:
            raise Refused(invalid(f"mode {name!r} is one of {', '.join(CHOICES[name])}"))
        setattr(self, name, CHOICES[name][value])
