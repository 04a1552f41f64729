"""How well the venue is reached, counted from what its answers were."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from components.contracts.orders import VenueCondition


class ConditionLimits(BaseModel):
    """After how much trouble the venue counts as degraded, and as lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    degraded_after_failures: int = Field(ge=1, le=100)
    lost_after_failures: int = Field(ge=1, le=100)
    slow_answer_ms: int = Field(ge=1, le=60_000)
    degraded_after_slow: int = Field(ge=1, le=1_000)


@dataclass(slots=True)
class Contact:
    """The last experiences with the venue; nothing is assumed before the first."""

    has_answered: bool = False
    failures: int = 0
    slow: int = 0
    is_throttled: bool = False
    is_stream_up: bool = False
    trouble: str = "not reached yet"
    forbidden: str = ""

    def answered(self, took_ns: int, limits: ConditionLimits) -> None:
        """Note that the venue answered."""
        self.has_answered, self.failures, self.is_throttled, self.forbidden = True, 0, False, ""
        self.slow = self.slow + 1 if took_ns > limits.slow_answer_ms * 1_000_000 else 0

    def failed(self, reason: str) -> None:
        """Note that no usable answer came."""
        self.failures += 1
        self.trouble = reason

    def throttled(self, text: str) -> None:
        """Note that the venue asked for patience."""
        self.is_throttled, self.trouble = True, text

    def refused(self, text: str) -> None:
        """Note that our keys are not accepted."""
        self.forbidden = text or "unauthorized"


def condition_of(contact: Contact, limits: ConditionLimits) -> tuple[VenueCondition, str]:
    """Give the condition and its reason; unknown is lost."""
    if contact.forbidden:
        return VenueCondition.LOST, f"keys refused: {contact.forbidden}"
    if not contact.has_answered or contact.failures >= limits.lost_after_failures:
        return VenueCondition.LOST, f"{contact.failures} failures in a row: {contact.trouble}"
    if not contact.is_stream_up:
        return VenueCondition.DEGRADED, "the order stream is down"
    if contact.is_throttled or contact.failures >= limits.degraded_after_failures:
        return VenueCondition.DEGRADED, contact.trouble
    if contact.slow >= limits.degraded_after_slow:
        return VenueCondition.DEGRADED, f"{contact.slow} answers in a row took more than {limits.slow_answer_ms} ms"
    return VenueCondition.REACHED, "answers"
