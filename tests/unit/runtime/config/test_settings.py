"""Layers override each other key by key, and every mistake is reported in one line."""

from decimal import Decimal
from enum import StrEnum
from pathlib import Path

import pytest
from pydantic import Field

from components.contracts.errors import ConfigError
from components.runtime.config.schema import SecretReference, Table, VenueUrl
from components.runtime.config.settings import child_environment, load_settings, read_layers
from tests.support.configuration_folder import ConfigurationFolder, shared_configuration, shipped_configuration


class Feed(StrEnum):
    IEX = "iex"
    SIP = "sip"


class RiskLimits(Table):
    order_notional_max: Decimal = Field(gt=0, le=100_000)
    order_rate_max: int = Field(ge=1, le=200)


class Risk(Table):
    limits: RiskLimits
    symbols: tuple[str, ...]
    feed: Feed = Feed.IEX
    key: SecretReference = "env:APCA_API_KEY_ID"
    url: VenueUrl = "http://127.0.0.1:1"


RISK = """
[risk]
symbols = ["AAPL", "MSFT"]
[risk.limits]
order_notional_max = 1000.10
order_rate_max = 10
"""


@pytest.fixture
def folder(tmp_path: Path) -> ConfigurationFolder:
    folder = shared_configuration(tmp_path)
    folder.add("base", RISK)
    return folder


def problems(folder: ConfigurationFolder, **variables: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_settings({"risk": Risk}, folder.environ(**variables))
    return str(caught.value).splitlines()


def test_an_overlay_decides_key_by_key(folder: ConfigurationFolder) -> None:
    folder.add("dev", "[risk.limits]\norder_rate_max = 20")
    risk = load_settings({"risk": Risk}, folder.environ()).table("risk", Risk)
    assert risk.limits == RiskLimits(order_notional_max=Decimal("1000.10"), order_rate_max=20)


def test_a_variable_decides_over_both_files(folder: ConfigurationFolder) -> None:
    folder.add("dev", "[risk.limits]\norder_rate_max = 20")
    variables = {"XTRADER__RISK__LIMITS__ORDER_RATE_MAX": "30", "XTRADER__RISK__SYMBOLS": '["TSLA"]'}
    risk = load_settings({"risk": Risk}, folder.environ(**variables)).table("risk", Risk)
    assert (risk.limits.order_rate_max, risk.symbols) == (30, ("TSLA",))


def test_a_variable_that_is_not_toml_is_a_text(folder: ConfigurationFolder) -> None:
    url = "http://127.0.0.1:8080/v2?x=[1"
    assert load_settings({"risk": Risk}, folder.environ(XTRADER__RISK__URL=url)).table("risk", Risk).url == url


def test_a_variable_cannot_bring_a_second_key(folder: ConfigurationFolder) -> None:
    (problem,) = problems(folder, XTRADER__RISK__LIMITS__ORDER_RATE_MAX="5\nother = 1")
    assert problem.startswith(
        "XTRADER__RISK__LIMITS__ORDER_RATE_MAX: risk.limits.order_rate_max: '5\\nother = 1': must"
    )


def test_a_fraction_stays_exact(folder: ConfigurationFolder) -> None:
    variables = {"XTRADER__RISK__LIMITS__ORDER_NOTIONAL_MAX": "0.1"}
    risk = load_settings({"risk": Risk}, folder.environ(**variables)).table("risk", Risk)
    assert risk.limits.order_notional_max == Decimal("0.1")


def test_each_key_has_its_origin(folder: ConfigurationFolder) -> None:
    folder.add("dev", "[risk.limits]\norder_rate_max = 20")
    layers = read_layers(folder.environ(XTRADER__RISK__FEED="sip"))
    keys = (("risk", "limits", "order_rate_max"), ("risk", "limits", "order_notional_max"), ("risk", "feed"))
    assert [layers.origin(key) for key in keys] == ["config/dev.toml", "config/base.toml", "XTRADER__RISK__FEED"]


def test_a_misspelt_key_is_reported_with_the_likely_one(folder: ConfigurationFolder) -> None:
    folder.add("dev", "[risk.limits]\norder_notionl_max = 1")
    assert problems(folder) == [
        "config/dev.toml: risk.limits.order_notionl_max: no such key (did you mean order_notional_max?)"
    ]


def test_a_value_out_of_range_is_reported_with_the_range(folder: ConfigurationFolder) -> None:
    folder.add("dev", "[risk.limits]\norder_notional_max = -5.50")
    assert problems(folder) == [
        "config/dev.toml: risk.limits.order_notional_max: -5.50: must be a number, above 0 and at most 100000"
    ]


def test_a_value_of_another_type_is_reported_with_the_type(folder: ConfigurationFolder) -> None:
    folder.add("dev", '[risk]\nfeed = "otc"\n[risk.limits]\norder_rate_max = 1.5')
    assert problems(folder) == [
        "config/dev.toml: risk.limits.order_rate_max: 1.5: must be a whole number, at least 1 and at most 200",
        "config/dev.toml: risk.feed: 'otc': must be one of iex, sip",
    ]


def test_a_table_in_place_of_a_value_is_reported(folder: ConfigurationFolder) -> None:
    assert problems(folder, XTRADER__RISK__LIMITS="5") == ["XTRADER__RISK__LIMITS: risk.limits: 5: must be a table"]


def test_a_missing_key_is_reported_with_its_type(folder: ConfigurationFolder) -> None:
    folder.write("base", (folder.root / "config/base.toml").read_text().replace("order_rate_max = 10", ""))
    assert problems(folder) == [
        "config/base.toml: risk.limits.order_rate_max: is missing (a whole number, at least 1 and at most 200)"
    ]


def test_a_table_of_no_component_is_reported(folder: ConfigurationFolder) -> None:
    folder.add("dev", "[riks]\nx = 1")
    assert problems(folder) == ["config/dev.toml: riks: no such table (did you mean risk?)"]


def test_another_components_table_is_not_read(folder: ConfigurationFolder) -> None:
    folder.add("dev", "[execution]\nno_such_key = 1")
    assert load_settings({"risk": Risk}, folder.environ()).account.name == "sandbox"


def test_broken_toml_is_reported_with_its_line_for_every_file(folder: ConfigurationFolder) -> None:
    folder.write("base", "[runtime]\nstate_dir = \n")
    folder.write("dev", "[account\n")
    base, dev = problems(folder)
    assert base == "config/base.toml: not valid TOML: Invalid value (at line 2, column 13)"
    assert dev.startswith("config/dev.toml: not valid TOML: Expected ']' at the end of a table declaration (at line 1")


def test_every_mistake_of_one_load_is_reported(folder: ConfigurationFolder) -> None:
    folder.add("dev", "[risk]\nsymbls = []\n[runtime]\ndrain_timeout_ms = -1")
    assert [line.split(": ")[1] for line in problems(folder, XTRADER__ACCOUNT__NAME="no good")] == [
        "account.name",
        "runtime.drain_timeout_ms",
        "risk.symbls",
    ]


def test_a_pasted_secret_is_rejected_and_not_repeated(folder: ConfigurationFolder) -> None:
    assert problems(folder, XTRADER__RISK__KEY="PKABCDEF123456") == [
        "XTRADER__RISK__KEY: risk.key: must be a reference: env:NAME or file:path"
    ]


def test_a_url_outside_the_allowed_hosts_is_reported_at_load(folder: ConfigurationFolder) -> None:
    (problem,) = problems(folder, XTRADER__RISK__URL="https://evil.example")
    place, why = problem.split(": https://evil.example: ")
    assert place == "XTRADER__RISK__URL: risk.url"
    assert why == "evil.example is not in venues.allowed_hosts (127.0.0.1, localhost)"


def test_a_variable_without_a_key_is_reported(folder: ConfigurationFolder) -> None:
    assert problems(folder, XTRADER__RISK="1") == ["XTRADER__RISK: must have the form XTRADER__TABLE__KEY"]


def test_an_unknown_environment_is_reported(folder: ConfigurationFolder) -> None:
    assert problems(folder, XTRADER_ENV="prd") == [f"config/prd.toml: no such file in {folder.root}"]
    assert problems(folder, XTRADER_ENV="../dev") == [
        "XTRADER_ENV: '../dev' is not the name of an environment, such as dev or prod (a file beside base.toml)"
    ]


def test_a_missing_configuration_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none: no such configuration folder; set XTRADER_CONFIG_DIR$"):
        load_settings({}, {"XTRADER_CONFIG_DIR": str(tmp_path / "none")})


def test_a_run_folder_too_long_for_sockets_is_reported(folder: ConfigurationFolder) -> None:
    long = "/x" * 50
    assert problems(folder, XTRADER__RUNTIME__RUN_DIR=long) == [
        f"XTRADER__RUNTIME__RUN_DIR: runtime.run_dir: {long}: path too long for the sockets in it"
    ]


def test_the_paths_follow_environment_and_account(folder: ConfigurationFolder) -> None:
    places = load_settings({}, folder.environ(XTRADER_ENV="prod", XTRADER__RUNTIME__RUN_DIR="r")).paths
    assert places.state == folder.root / "var/prod/paper"
    assert places.keys == folder.root / "var/keys"
    assert places.run == folder.root / "r"


def test_validated_settings_cannot_be_changed(folder: ConfigurationFolder) -> None:
    settings = load_settings({"risk": Risk}, folder.environ())
    with pytest.raises(ValueError, match="frozen"):
        settings.runtime.health_port = 1


@pytest.mark.parametrize(("env", "account"), [("dev", "sandbox"), ("prod", "paper")])
def test_the_shipped_configuration_is_valid(tmp_path: Path, env: str, account: str) -> None:
    settings = load_settings({}, shipped_configuration(tmp_path).environ(XTRADER_ENV=env))
    assert settings.account.name == account
    assert settings.venue_policy.violation("https://api.alpaca.markets")


def test_a_child_process_gets_our_environment_with_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    environment = child_environment({"XTRADER_ENV": "prod"})
    assert (environment["KEPT"], environment["XTRADER_ENV"]) == ("1", "prod")
