"""The transition table of orders is complete, and every report keeps to it."""

from decimal import Decimal

import pytest

from components.contracts.orders import OrderState
from components.execution.core.order import TRANSITIONS, VENUE_STATES, is_allowed_transition, next_state


def test_the_table_of_states_is_complete_and_nothing_leaves_a_final_state() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    for before in OrderState:
        assert bool(TRANSITIONS[before]) is not before.is_final
        for after in OrderState:
            assert is_allowed_transition(before, after) is (after is before or after in TRANSITIONS[before])


@pytest.mark.parametrize("before", list(OrderState))
@pytest.mark.parametrize("reported", sorted(VENUE_STATES))
def test_every_report_keeps_to_the_transition_table(before: OrderState, reported: OrderState) -> None:
    after = next_state(before, reported, Decimal(0))
    assert is_allowed_transition(before, after)
    if before.is_final:
        assert after is before
