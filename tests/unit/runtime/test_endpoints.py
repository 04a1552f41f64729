"""Where sockets are, and who may bind them."""

import os
from pathlib import Path

import pytest

from components.contracts.errors import Busy, ConfigError
from components.contracts.topics import COMMANDS, HEALTH, JUDGE, MARKET, STREAMS, StreamClass
from components.runtime.endpoints import COMPONENTS, address, hold, publications, service, side, speakers
from components.runtime.places import SOCKET_NAME_BYTES_MAX


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


def test_only_health_is_said_by_everyone() -> None:
    assert speakers(MARKET) == ("market_data",)
    assert speakers(HEALTH) == COMPONENTS == ("execution", "market_data", "risk", "signals")


def test_every_socket_has_a_name_that_a_run_folder_has_room_for() -> None:
    run = Path("run")
    asked = [one for one in STREAMS.values() if one.kind in {StreamClass.REQUEST, StreamClass.SEALED}]
    names = [
        *(publications(run, one).name for one in COMPONENTS),
        *(side(run, one).name for one in COMPONENTS),
        *(service(run, one).name for one in asked),
    ]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= SOCKET_NAME_BYTES_MAX
    assert service(run, JUDGE).name == "risk.judge"
    assert service(run, COMMANDS).name == "execution.commands"


def test_no_stream_is_heard_by_who_subscribes_to_another() -> None:
    names = [stream.name for stream in STREAMS.values()]
    assert not [(one, other) for one in names for other in names if one != other and other.startswith(one)]


def test_a_path_that_the_kernel_would_not_bind_is_refused_by_name() -> None:
    address(Path("/" + "x" * 106))
    with pytest.raises(ConfigError, match="108 bytes, at most 107"):
        address(Path("/" + "x" * 107))


def test_a_held_path_is_busy_and_the_holder_is_named(run: Path) -> None:
    held = hold(run / "risk.pub")
    with pytest.raises(Busy, match=f"process {os.getpid()}"):
        hold(run / "risk.pub")
    held.release()
    hold(run / "risk.pub").release()


def test_what_a_killed_process_left_is_cleared(run: Path) -> None:
    (run / "risk.pub").touch()
    held = hold(run / "risk.pub")
    assert not (run / "risk.pub").exists()
    held.release()


def test_a_run_folder_that_others_may_enter_is_refused(run: Path) -> None:
    run.chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        hold(run / "risk.pub")
