"""The paths of the sockets, and who may bind them."""

import os
from pathlib import Path

import pytest

from components.contracts.errors import ConfigError, ResourceBusy
from components.contracts.streams import COMMANDS, HEALTH, MARKET, RISK_REQUESTS, STREAMS, StreamClass
from components.runtime.bus.transport import (
    COMPONENTS,
    claim_socket,
    ipc_address,
    producers,
    publisher_path,
    recovery_path,
    request_path,
)
from components.runtime.paths import SOCKET_NAME_BYTES_MAX


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    return folder


def test_only_health_is_published_by_every_component() -> None:
    assert producers(MARKET) == ("market_data",)
    assert producers(HEALTH) == COMPONENTS == ("execution", "market_data", "risk", "signals")


def test_every_socket_has_a_name_that_a_run_folder_has_room_for() -> None:
    run = Path("run")
    request_streams = [one for one in STREAMS.values() if one.stream_class in {StreamClass.REQUEST, StreamClass.SEALED}]
    names = [
        *(publisher_path(run, one).name for one in COMPONENTS),
        *(recovery_path(run, one).name for one in COMPONENTS),
        *(request_path(run, one).name for one in request_streams),
    ]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= SOCKET_NAME_BYTES_MAX
    assert request_path(run, RISK_REQUESTS).name == "risk.risk_requests"
    assert request_path(run, COMMANDS).name == "execution.commands"


def test_no_topic_is_a_prefix_of_another() -> None:
    names = [stream.name for stream in STREAMS.values()]
    assert not [(one, other) for one in names for other in names if one != other and other.startswith(one)]


def test_a_path_too_long_for_the_kernel_is_rejected_by_name() -> None:
    ipc_address(Path("/" + "x" * 106))
    with pytest.raises(ConfigError, match="108 bytes, at most 107"):
        ipc_address(Path("/" + "x" * 107))


def test_a_claimed_path_is_busy_and_the_holder_is_named(run: Path) -> None:
    held = claim_socket(run / "risk.pub")
    with pytest.raises(ResourceBusy, match=f"process {os.getpid()}"):
        claim_socket(run / "risk.pub")
    held.release()
    claim_socket(run / "risk.pub").release()


def test_the_socket_of_a_killed_process_is_removed(run: Path) -> None:
    (run / "risk.pub").touch()
    held = claim_socket(run / "risk.pub")
    assert not (run / "risk.pub").exists()
    held.release()


def test_a_run_folder_that_others_may_enter_is_refused(run: Path) -> None:
    run.chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        claim_socket(run / "risk.pub")
