"""Schema of the configuration table [risk]."""

from components.risk.core.limits import Limits, StrictTable, Timing


class RiskConfig(StrictTable):
    """Limits of orders and of the account, and the timing of the service."""

    limits: Limits
    timing: Timing
