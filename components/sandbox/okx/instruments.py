"""Instruments as OKX describes them: empty texts where a field does not apply."""

from decimal import Decimal

from components.sandbox.core.decimals import plain
from components.sandbox.flow.listings import Kind, Listing

TYPES = {Kind.SPOT: "SPOT", Kind.PERPETUAL: "SWAP", Kind.FUTURE: "FUTURES", Kind.OPTION: "OPTION"}
# An option's contract is told in two factors: whoever forgets the second is off by ten.
OPTION_MULTIPLIER = Decimal("0.1")


def instrument(listing: Listing) -> dict[str, str]:
    """Describe one instrument."""
    return {
        "instId": listing.symbol,
        "instType": TYPES[listing.kind],
        "state": "live",
        "tickSz": plain(listing.tick),
        "lotSz": plain(listing.lot),
        "minSz": plain(listing.lot),
        "alias": "",
        "category": "1",
        "lever": "10",
        "listTime": "1548133413000",
        **(_spot(listing) if listing.kind is Kind.SPOT else _contract(listing)),
        **(_option(listing) if listing.kind is Kind.OPTION else {"optType": "", "stk": ""}),
    }


def family(listing: Listing) -> str:
    """Name the family of a contract; empty for spot."""
    return "" if listing.kind is Kind.SPOT else f"{listing.base}-{listing.quote}"


def _spot(listing: Listing) -> dict[str, str]:
    unused = dict.fromkeys(("uly", "instFamily", "settleCcy", "ctType", "ctVal", "ctMult", "ctValCcy", "expTime"), "")
    return {**unused, "baseCcy": listing.base, "quoteCcy": listing.quote}


def _contract(listing: Listing) -> dict[str, str]:
    is_option = listing.kind is Kind.OPTION
    multiplier = OPTION_MULTIPLIER if is_option else Decimal(1)
    return {
        "baseCcy": "",
        "quoteCcy": "",
        "uly": family(listing),
        "instFamily": family(listing),
        "settleCcy": listing.settle,
        "ctType": "" if is_option else ("inverse" if listing.is_inverse else "linear"),
        "ctVal": plain(listing.contract / multiplier),
        "ctMult": plain(multiplier),
        # An inverse contract is worth dollars, except that of an option, which is worth coins.
        "ctValCcy": listing.quote if listing.is_inverse and not is_option else listing.base,
        "expTime": str(listing.expiry_ms or ""),
    }


def _option(listing: Listing) -> dict[str, str]:
    return {"optType": "P" if listing.option_type == "put" else "C", "stk": plain(listing.strike or Decimal(0))}
