"""The schema of the table [risk]."""

from components.risk.core.limits import Limits, Strict, Timing


class RiskConfig(Strict):
    """What may be done, and how long is waited."""

    limits: Limits
    timing: Timing
