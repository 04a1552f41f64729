"""Spot and USD-M each follow their own published sequence rule."""

import pytest

from components.contracts.values import Symbol
from components.market_data.core.book.sequencing import ResyncMethod, SequenceOutcome
from components.market_data.core.events import DepthUpdate
from components.market_data.venues.binance.adapter import FUTURES_SEQUENCE_RULE, SPOT_SEQUENCE_RULE

NEXT, STALE, GAP = SequenceOutcome.NEXT, SequenceOutcome.STALE, SequenceOutcome.GAP


def change(previous: int, final: int) -> DepthUpdate:
    return DepthUpdate(Symbol("X"), previous, final, (), (), 0, 0)


@pytest.mark.parametrize(
    ("previous", "final", "placement"),
    [
        (90, 99, STALE),
        (90, 100, STALE),
        (100, 100, STALE),
        (95, 105, NEXT),
        (100, 101, NEXT),
        (101, 105, GAP),
        (150, 160, GAP),
    ],
)
@pytest.mark.parametrize("is_joining", [True, False])
def test_spot_ranges_may_overlap_at_any_time(
    previous: int, final: int, placement: SequenceOutcome, is_joining: bool
) -> None:
    assert SPOT_SEQUENCE_RULE.classify(change(previous, final), 100, is_joining=is_joining) is placement


@pytest.mark.parametrize(
    ("previous", "final", "joining", "live"),
    [
        (90, 99, STALE, STALE),
        (90, 100, NEXT, STALE),
        (95, 105, NEXT, GAP),
        (100, 4271, NEXT, NEXT),
        (101, 105, GAP, GAP),
    ],
)
def test_usdm_joins_by_range_and_then_chains_exactly(
    previous: int, final: int, joining: SequenceOutcome, live: SequenceOutcome
) -> None:
    assert FUTURES_SEQUENCE_RULE.classify(change(previous, final), 100, is_joining=True) is joining
    assert FUTURES_SEQUENCE_RULE.classify(change(previous, final), 100, is_joining=False) is live


def test_both_fetch_a_snapshot_to_resynchronize() -> None:
    assert {
        SPOT_SEQUENCE_RULE.resync_method,
        SPOT_SEQUENCE_RULE.fallback_method,
        FUTURES_SEQUENCE_RULE.resync_method,
        FUTURES_SEQUENCE_RULE.fallback_method,
    } == {ResyncMethod.FETCH}
