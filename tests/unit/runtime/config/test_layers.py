"""The overlay of a running `xtrader up` holds for the commands on its run folder; that of a dead one does not."""

import json
from pathlib import Path

import pytest

from components.runtime.config.layers import OVERLAY_FILE, read_overlay, remove_overlay, write_overlay
from components.runtime.config.settings import read_layers, read_layers_with_overlay
from components.runtime.paths import Paths
from tests.support.configuration_folder import ConfigurationFolder, shipped_configuration

VARIABLES = {"XTRADER__EXECUTION__ALPACA__TRADING_URL": "http://127.0.0.1:1", "APCA_API_KEY_ID": "sandbox's"}


PID_MAX = 4_194_304


@pytest.fixture
def folder(tmp_path: Path) -> ConfigurationFolder:
    return shipped_configuration(tmp_path)


@pytest.fixture
def environ(folder: ConfigurationFolder) -> dict[str, str]:
    return folder.environ(XTRADER__RUNTIME__RUN_DIR=str(folder.root / "r"), APCA_API_KEY_ID="somebody's")


@pytest.fixture
def paths(environ: dict[str, str]) -> Paths:
    made = read_layers(environ).validate({}).paths
    made.create_run_dir()
    return made


def test_a_command_uses_the_overlay_of_a_running_up(paths: Paths, environ: dict[str, str]) -> None:
    write_overlay(paths, VARIABLES)
    layers = read_layers_with_overlay(environ)
    assert layers.origin(("execution", "alpaca", "trading_url")) == "XTRADER__EXECUTION__ALPACA__TRADING_URL"
    assert layers.environ["APCA_API_KEY_ID"] == "sandbox's"


def test_without_a_running_up_there_is_no_overlay(paths: Paths, environ: dict[str, str]) -> None:
    assert read_layers_with_overlay(environ).environ["APCA_API_KEY_ID"] == "somebody's"
    write_overlay(paths, VARIABLES)
    remove_overlay(paths)
    assert read_overlay(paths) == {}


def test_the_overlay_of_a_dead_process_is_ignored(paths: Paths) -> None:
    (paths.run / OVERLAY_FILE).write_text(json.dumps({"pid": PID_MAX, "variables": VARIABLES}))
    assert read_overlay(paths) == {}
    (paths.run / OVERLAY_FILE).write_text("{")
    assert read_overlay(paths) == {}


def test_only_its_owner_may_read_the_overlay(paths: Paths) -> None:
    write_overlay(paths, VARIABLES)
    assert (paths.run / OVERLAY_FILE).stat().st_mode & 0o777 == 0o600
