"""How the books of Binance follow: spot by ranges that may overlap, USD-M by the id each change stands on."""

from typing import Final

from components.market_data.core.rules import RangeRule, Remedy

SPOT_RULE: Final = RangeRule(remedy=Remedy.FETCH, fallback=Remedy.FETCH, overlaps=True)
UM_RULE: Final = RangeRule(remedy=Remedy.FETCH, fallback=Remedy.FETCH, overlaps=False, repeats_image=True)
"""Its ids are global to the venue and so have holes: only `pu` tells whether a change follows."""
