"""Everything the execution process is made of, on one page."""

from collections.abc import Iterable
from random import random
from typing import Final

from components.contracts.approval import SealKey
from components.contracts.errors import DamagedData
from components.contracts.topics import COMMANDS, ORDERS
from components.contracts.values import AccountId, Venue
from components.execution.config import ExecutionConfig
from components.execution.core.state import ExecutionState
from components.execution.service.execution import ExecutionService
from components.execution.service.meters import Meters
from components.execution.venues.alpaca.rest import AlpacaRest
from components.execution.venues.alpaca.stream import AlpacaStream
from components.execution.venues.alpaca.wire import Keys, Wire
from components.runtime.codec import FrameRefused, decoder_of
from components.runtime.journal import Record
from components.runtime.process import Loop, Process
from components.runtime.secrets import Secret

ALPACA: Final = Venue("alpaca")
HALT_FILE: Final = "HALT"
"""While a file of this name stands in the state folder, no order leaves, whoever else is alive."""


def execution(process: Process) -> None:
    """Wire the parts together and serve until asked to stop."""
    config = process.config(ExecutionConfig)
    keys = Keys(Secret(process.secret(config.alpaca.key)), Secret(process.secret(config.alpaca.secret)))
    journal = process.journal()
    process.serve(
        service_of(process, config, replay(journal.records())),
        answers=[COMMANDS],
        journal=journal,
        journal_stream=ORDERS,
        venue=AlpacaRest(Wire(config.alpaca, keys), process.clock, process.places.state / HALT_FILE),
        feed=AlpacaStream(config.alpaca, keys, random),
        loop=Loop.ASYNC,
    )


def service_of(process: Process, config: ExecutionConfig, state: ExecutionState) -> ExecutionService:
    """Make the service; by what the venue is reached is no matter to it."""
    seal = (SealKey(process.seal_key()), AccountId(process.places.account))
    return ExecutionService(state, config, Meters(process.metrics), venue=ALPACA, seal=seal)


def replay(records: Iterable[Record]) -> ExecutionState:
    """Fold the journal; a record that is no order message is damage, whatever its checksum says."""
    state, decode = ExecutionState(), decoder_of(ORDERS)
    for record in records:
        try:
            state.apply(decode(record.payload))
        except FrameRefused as error:
            raise DamagedData(f"record {record.sequence}: {error.detail}") from error
    return state
