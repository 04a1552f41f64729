"""Composition root of the execution process."""

from collections.abc import Iterable
from random import random
from typing import Final

from components.contracts.approval import SealKey
from components.contracts.errors import CorruptData
from components.contracts.streams import COMMANDS, ORDERS
from components.contracts.values import AccountId, Venue
from components.execution.config import ExecutionConfig
from components.execution.core.state import ExecutionState
from components.execution.service.execution_service import ExecutionService
from components.execution.service.metrics import ExecutionMetrics
from components.execution.venues.alpaca.http_client import ApiKeys, HttpClient
from components.execution.venues.alpaca.rest import AlpacaRest
from components.execution.venues.alpaca.trade_updates import AlpacaTradeUpdates
from components.runtime.bus.codec import InvalidFrame, message_decoder
from components.runtime.config.secrets import Secret
from components.runtime.journal.format import Record
from components.runtime.process.process import Process

ALPACA: Final = Venue("alpaca")
HALT_FILE: Final = "HALT"
"""While a file with this name exists in the state folder, no order is submitted; no other process is needed."""


def execution(process: Process) -> None:
    """Build the service and serve until shutdown."""
    config = process.config(ExecutionConfig)
    keys = ApiKeys(Secret(process.secret(config.alpaca.key)), Secret(process.secret(config.alpaca.secret)))
    journal = process.open_journal()
    process.run(
        build_service(process, config, replay(journal.records())),
        serves=[COMMANDS],
        journal=journal,
        journal_stream=ORDERS,
        venue=AlpacaRest(HttpClient(config.alpaca, keys), process.clock, process.paths.state / HALT_FILE),
        feed=AlpacaTradeUpdates(config.alpaca, keys, random),
    )


def build_service(process: Process, config: ExecutionConfig, state: ExecutionState) -> ExecutionService:
    """Build the service; it does not depend on how the venue is reached."""
    seal = (SealKey(process.seal_key()), AccountId(process.paths.account))
    return ExecutionService(state, config, ExecutionMetrics(process.metrics), venue=ALPACA, seal=seal)


def replay(records: Iterable[Record]) -> ExecutionState:
    """Return the state after the journal; a record that cannot be decoded is corruption, even with a valid checksum."""
    state, decode = ExecutionState(), message_decoder(ORDERS)
    for record in records:
        try:
            state.apply(decode(record.payload))
        except InvalidFrame as error:
            raise CorruptData(f"record {record.sequence}: {error.detail}") from error
    return state
