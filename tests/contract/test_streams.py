"""The table of streams agrees with what each component connects to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import BaseModel

from components.contracts.streams import ANY, HEALTH, STREAMS, Stream, StreamClass
from components.execution.wiring import execution
from components.market_data.wiring import market_data
from components.risk.wiring import risk
from components.runtime.clock import SystemClock
from components.runtime.config.settings import Settings, read_layers
from components.runtime.journal.journal import Journal
from components.runtime.metrics import Metrics
from components.runtime.process.process import Process
from components.signals.wiring import signals
from components.xtrader.configuration import table_models
from tests.support.configuration_folder import SHIPPED

WIRINGS: dict[str, Callable[[Process], None]] = {
    "market_data": market_data,
    "signals": signals,
    "risk": risk,
    "execution": execution,
}


class BindingsDeclared(BaseException):
    """The bindings that a wiring declared; raised to stop the wiring there."""

    def __init__(self, bindings: dict[str, Any]) -> None:
        super().__init__()
        self.bindings = bindings


class BindingsCollector:
    """Provides a wiring with what a process provides, in a folder of its own, and collects the declared bindings."""

    def __init__(self, name: str, settings: Settings, folder: Path) -> None:
        self.name, self.settings, self.paths = name, settings, settings.paths
        self.clock, self.version = SystemClock(), "0"
        self.metrics = Metrics(name, "0")
        self._folder = folder

    def config(self, model: type[BaseModel]) -> BaseModel:
        return self.settings.table(self.name, model)

    def secret(self, _: str) -> bytes:
        return b"secret"

    def seal_key(self) -> bytes:
        return bytes(32)

    def open_journal(self) -> Journal:
        return Journal.open(self._folder / self.name, owner=self.name, account="sandbox", now_ns=1)

    def run(self, _: object, **bindings: Any) -> None:
        raise BindingsDeclared(bindings)


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("state")
    overrides = {"XTRADER_CONFIG_DIR": str(SHIPPED), "XTRADER__RUNTIME__STATE_DIR": str(folder)}
    settings = read_layers(overrides).validate(table_models())
    found = {}
    for name, wire in WIRINGS.items():
        with pytest.raises(BindingsDeclared) as stopped:
            wire(cast(Process, BindingsCollector(name, settings, folder)))
        found[name] = stopped.value.bindings
    return found


def producers(declared: dict[str, dict[str, Any]], stream: Stream) -> set[str]:
    keys = {
        StreamClass.STATE: "publishes",
        StreamClass.REQUEST: "requests",
        StreamClass.SEALED: "sends_commands",
    }
    if stream.stream_class is StreamClass.EVENTS:
        return {name for name, bindings in declared.items() if bindings.get("journal_stream") == stream}
    return {name for name, bindings in declared.items() if stream in bindings.get(keys[stream.stream_class], ())}


def consumers(declared: dict[str, dict[str, Any]], stream: Stream) -> set[str]:
    return {
        name
        for name, bindings in declared.items()
        if stream in (*bindings.get("subscribes", ()), *bindings.get("serves", ()))
    }


@pytest.mark.parametrize("stream", [one for one in STREAMS.values() if one != HEALTH], ids=lambda one: one.name)
def test_only_the_producer_in_the_table_publishes(declared: dict[str, dict[str, Any]], stream: Stream) -> None:
    assert producers(declared, stream) == {stream.producer}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=lambda one: one.name)
def test_only_the_consumers_in_the_table_subscribe(declared: dict[str, dict[str, Any]], stream: Stream) -> None:
    if ANY not in stream.consumers:
        assert consumers(declared, stream) == set(stream.consumers)
