"""How the books of Binance follow: spot by ranges that may overlap, USD-M by the id each change stands on."""

from typing import Final

from components.market_data.core.rules import RangeRule, ResyncMethod

SPOT_SEQUENCE_RULE: Final = RangeRule(
    resync_method=ResyncMethod.FETCH, fallback_method=ResyncMethod.FETCH, ranges_overlap=True
)
FUTURES_SEQUENCE_RULE: Final = RangeRule(
    resync_method=ResyncMethod.FETCH,
    fallback_method=ResyncMethod.FETCH,
    ranges_overlap=False,
    reapplies_snapshot_id=True,
)
"""Its ids are global to the venue and so have holes: only `pu` tells whether a change follows."""
