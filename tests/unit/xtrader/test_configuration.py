"""The configuration is shown with the origin of each key, and its schema names every table."""

from decimal import Decimal
from pathlib import Path

import pytest

from components.contracts.errors import ConfigError
from components.xtrader.configuration import json_schema, list_keys, nested_values
from tests.support.configuration_folder import ConfigurationFolder, shipped_configuration


@pytest.fixture
def folder(tmp_path: Path) -> ConfigurationFolder:
    return shipped_configuration(tmp_path)


def test_each_key_names_the_layer_that_sets_it(folder: ConfigurationFolder) -> None:
    found = {one.name: one for one in list_keys(environ=folder.environ(XTRADER__RISK__LIMITS__OPEN_ORDERS_MAX="5"))}
    assert found["risk.limits.open_orders_max"].origin == "XTRADER__RISK__LIMITS__OPEN_ORDERS_MAX"
    assert found["risk.limits.open_orders_max"].as_toml() == "risk.limits.open_orders_max = 5"
    assert found["account.name"].origin == "config/dev.toml"
    assert found["risk.limits.order_rate_per_minute_max"].origin == "config/base.toml"


def test_secrets_stay_references(folder: ConfigurationFolder) -> None:
    found = list_keys("execution.alpaca", environ=folder.environ(APCA_API_SECRET_KEY="not to be seen"))
    assert 'execution.alpaca.secret = "env:APCA_API_SECRET_KEY"' in [one.as_toml() for one in found]
    assert not any("not to be seen" in one.as_toml() for one in found)


def test_one_table_can_be_shown(folder: ConfigurationFolder) -> None:
    found = list_keys("risk.limits", environ=folder.environ())
    assert nested_values(found)["risk"]["limits"]["order_quantity_max"] == Decimal(100)
    assert set(nested_values(found)) == {"risk"}
    assert list_keys("risk.limit", environ=folder.environ()) == []


def test_an_invalid_configuration_is_refused_not_shown(folder: ConfigurationFolder) -> None:
    with pytest.raises(ConfigError, match=r"risk\.limits\.none"):
        list_keys(environ=folder.environ(XTRADER__RISK__LIMITS__NONE="1"))


def test_the_schema_names_every_table_and_its_ranges() -> None:
    found = json_schema()
    assert set(found["properties"]) == {"account", "runtime", "venues", "market_data", "signals", "risk", "execution"}
    assert found["$defs"]["RuntimeConfig"]["properties"]["health_port"]["maximum"] == 65535
