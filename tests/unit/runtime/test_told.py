"""What a living `up` told its children holds for the verbs beside it; what a dead one told does not."""

import json
from pathlib import Path

import pytest

from components.runtime.config import read_layers, read_layers_beside_up
from components.runtime.places import Places
from components.runtime.told import NAME, read_told, remove_told, write_told
from tests.support.configurations import ConfigurationFolder, shipped_configuration

VARIABLES = {"XTRADER__EXECUTION__ALPACA__TRADING_URL": "http://127.0.0.1:1", "APCA_API_KEY_ID": "sandbox's"}
PID_MAX = 4_194_304


@pytest.fixture
def folder(tmp_path: Path) -> ConfigurationFolder:
    return shipped_configuration(tmp_path)


@pytest.fixture
def environ(folder: ConfigurationFolder) -> dict[str, str]:
    return folder.environ(XTRADER__RUNTIME__RUN_DIR=str(folder.root / "r"), APCA_API_KEY_ID="somebody's")


@pytest.fixture
def places(environ: dict[str, str]) -> Places:
    made = read_layers(environ).check({}).places
    made.make()
    return made


def test_a_verb_sees_the_venue_that_up_told_its_children(places: Places, environ: dict[str, str]) -> None:
    write_told(places, VARIABLES)
    layers = read_layers_beside_up(environ)
    assert layers.merged()["execution"]["alpaca"]["trading_url"] == "http://127.0.0.1:1"
    assert layers.environ["APCA_API_KEY_ID"] == "sandbox's"


def test_without_a_running_up_the_configuration_holds(places: Places, environ: dict[str, str]) -> None:
    assert read_layers_beside_up(environ).environ["APCA_API_KEY_ID"] == "somebody's"
    write_told(places, VARIABLES)
    remove_told(places)
    assert read_told(places) == {}


def test_what_a_dead_up_left_behind_is_not_believed(places: Places) -> None:
    (places.run / NAME).write_text(json.dumps({"pid": PID_MAX, "variables": VARIABLES}))
    assert read_told(places) == {}
    (places.run / NAME).write_text("{")
    assert read_told(places) == {}


def test_only_its_owner_may_read_it(places: Places) -> None:
    write_told(places, VARIABLES)
    assert (places.run / NAME).stat().st_mode & 0o777 == 0o600
