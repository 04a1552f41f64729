"""No two runs of a strategy share an id, and an id always fits."""

from hypothesis import given
from hypothesis import strategies as st

from components.contracts.values import SIGNAL_ID_LENGTH_MAX, StrategyId, is_identifier
from components.runtime.config.settings import load_settings
from components.signals.config import SignalsConfig
from components.signals.core.strategy import RANDOM_BYTES, make_signal_id, new_run_id
from tests.support.configuration_folder import SHIPPED

SECOND = 1_000_000_000
RANDOM = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


@given(st.integers(0, 2**32 * SECOND - 1), RANDOM, st.integers(1, 10**13 - 1))
def test_an_id_fits_even_with_the_longest_strategy_and_the_largest_sequence(
    now_ns: int, random_bytes: bytes, sequence: int
) -> None:
    name = make_signal_id(StrategyId("S" * 12), new_run_id(now_ns, random_bytes), sequence)
    assert is_identifier(name, length_max=SIGNAL_ID_LENGTH_MAX)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), RANDOM, RANDOM)
def test_another_second_or_other_random_bytes_give_another_run_id(
    second: int, other_second: int, random_bytes: bytes, other_bytes: bytes
) -> None:
    names = new_run_id(second * SECOND, random_bytes), new_run_id(other_second * SECOND, other_bytes)
    assert (names[0] == names[1]) == ((second, random_bytes) == (other_second, other_bytes))


def test_the_same_start_has_the_same_run_id() -> None:
    assert new_run_id(1_700_000_000 * SECOND + 5, b"\x01\x02\x03\x04") == "mvj7caabaibqi"


def test_the_shipped_strategy_trades_often_enough_to_watch() -> None:
    for env in ("dev", "prod"):
        environ = {"XTRADER_CONFIG_DIR": str(SHIPPED), "XTRADER_ENV": env}
        table = load_settings({"signals": SignalsConfig}, environ).table("signals", SignalsConfig)
        assert table.strategy_id == "demo"
        assert table.approval_timeout_ms <= table.signal_ttl_ms
        # Five symbols, each at most once per cool-down: below the venue's 200 requests a minute.
        assert 20 <= 5 * 60_000 / table.strategy.cool_down_ms <= 100
