"""How well the venue is reached, counted from what its answers were."""

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from components.contracts.orders import VenueConnectivity


class VenueHealthLimits(BaseModel):
    """After how much trouble the venue counts as degraded, and as lost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    degraded_after_failures: int = Field(ge=1, le=100)
    lost_after_failures: int = Field(ge=1, le=100)
    slow_answer_ms: int = Field(ge=1, le=60_000)
    degraded_after_slow: int = Field(ge=1, le=1_000)


@dataclass(slots=True)
class VenueHealth:
    """The last experiences with the venue; nothing is assumed before the first."""

    has_responded: bool = False
    failures: int = 0
    slow_responses: int = 0
    is_throttled: bool = False
    is_stream_up: bool = False
    problem: str = "not reached yet"
    auth_error: str = ""

    def record_response(self, took_ns: int, limits: VenueHealthLimits) -> None:
        """Note that the venue answered."""
        self.has_responded, self.failures, self.is_throttled, self.auth_error = True, 0, False, ""
        self.slow_responses = self.slow_responses + 1 if took_ns > limits.slow_answer_ms * 1_000_000 else 0

    def record_failure(self, reason: str) -> None:
        """Note that no usable answer came."""
        self.failures += 1
        self.problem = reason

    def record_throttled(self, text: str) -> None:
        """Note that the venue asked for patience."""
        self.is_throttled, self.problem = True, text

    def record_unauthorized(self, text: str) -> None:
        """Note that our keys are not accepted."""
        self.auth_error = text or "unauthorized"


def connectivity_of(health: VenueHealth, limits: VenueHealthLimits) -> tuple[VenueConnectivity, str]:
    """Give the condition and its reason; unknown is lost."""
    if health.auth_error:
        return VenueConnectivity.LOST, f"keys refused: {health.auth_error}"
    if not health.has_responded or health.failures >= limits.lost_after_failures:
        return VenueConnectivity.LOST, f"{health.failures} failures in a row: {health.problem}"
    if not health.is_stream_up:
        return VenueConnectivity.DEGRADED, "the order stream is down"
    if health.is_throttled or health.failures >= limits.degraded_after_failures:
        return VenueConnectivity.DEGRADED, health.problem
    if health.slow_responses >= limits.degraded_after_slow:
        return (
            VenueConnectivity.DEGRADED,
            f"{health.slow_responses} answers in a row took more than {limits.slow_answer_ms} ms",
        )
    return VenueConnectivity.HEALTHY, "answers"
