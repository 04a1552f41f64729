"""The schema of the table [risk]."""

from components.risk.core.limits import Limits, StrictTable, Timing


class RiskConfig(StrictTable):
    """What may be done, and how long is waited."""

    limits: Limits
    timing: Timing
