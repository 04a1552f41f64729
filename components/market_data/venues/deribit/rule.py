"""How Deribit's books are kept in sync: each change stands exactly on the one before, and only the stream mends."""

from typing import Final

from components.market_data.core.rules import RangeRule, ResyncMethod

# A book that was fetched could not be joined: its id need not be one at which a batch was cut.
SEQUENCE_RULE: Final = RangeRule(
    resync_method=ResyncMethod.RESUBSCRIBE, fallback_method=ResyncMethod.RESUBSCRIBE, ranges_overlap=False
)
