"""How Deribit's books are kept in sync: each change stands exactly on the one before, and only the stream mends."""

from typing import Final

from components.market_data.core.rules import RangeRule, Remedy

# A book that was fetched could not be joined: its id need not be one at which a batch was cut.
RULE: Final = RangeRule(remedy=Remedy.RESUBSCRIBE, fallback=Remedy.RESUBSCRIBE, overlaps=False)
