"""The manners of this venue that differ between years and hosts, settable while it runs."""

from dataclasses import dataclass

from components.sandbox.core.refusals import invalid_request
from components.sandbox.okx.frames import ChecksumMode
from components.sandbox.server.replies import ApiErrorRaised

SWITCH_VALUES = {"on": True, "off": False}
BEHAVIOR_CHOICES: dict[str, dict[str, object]] = {
    "checksum": {str(one): one for one in ChecksumMode},
    "ws_snapshot": dict(SWITCH_VALUES),
    "rest_seq_id": dict(SWITCH_VALUES),
    "vip": dict(SWITCH_VALUES),
}


@dataclass(slots=True)
class BehaviorSettings:
    """How the venue behaves now; at first as the real one does today."""

    checksum: ChecksumMode = ChecksumMode.ZERO
    ws_snapshot: bool = True  # a new subscriber of a chained channel is told the whole book
    rest_seq_id: bool = True  # REST books say at which id they stand
    vip: bool = False  # the fee tier of whoever logs in suffices for tick-by-tick books

    def set(self, name: str, value: str) -> None:
        """Change one manner by name."""
        if name not in BEHAVIOR_CHOICES:
            raise ApiErrorRaised(invalid_request(f"no mode {name!r}, there are {', '.join(BEHAVIOR_CHOICES)}"))
        if value not in BEHAVIOR_CHOICES[name]:
            raise ApiErrorRaised(invalid_request(f"mode {name!r} is one of {', '.join(BEHAVIOR_CHOICES[name])}"))
        setattr(self, name, BEHAVIOR_CHOICES[name][value])
