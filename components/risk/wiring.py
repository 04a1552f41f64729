"""Composition root of the risk process."""

from collections.abc import Iterable, Iterator

from components.contracts.approval import SealKey
from components.contracts.decisions import DecisionMessage
from components.contracts.errors import CorruptData
from components.contracts.streams import COMMANDS, DECISIONS, MARKET, ORDERS, POSITIONS, RISK_REQUESTS
from components.contracts.values import AccountId, StreamOffset
from components.risk.config import RiskConfig
from components.risk.core.account_state import RiskState
from components.risk.core.projection import replay
from components.risk.service.risk_service import RiskService
from components.runtime.bus.codec import InvalidFrame, message_decoder
from components.runtime.journal.format import Record
from components.runtime.process.process import Process


def risk(process: Process) -> None:
    """Build the service and serve until shutdown."""
    config = process.config(RiskConfig)
    key = SealKey(process.seal_key())
    journal = process.open_journal()
    fresh = RiskState(account=AccountId(process.paths.account), journal_id=journal.journal_id)
    state = replay(fresh, read_log(journal.records()))
    service = RiskService(
        limits=config.limits,
        timing=config.timing,
        key=key,
        state=state,
        metrics=process.metrics,
        version=process.version,
    )
    process.run(
        service,
        subscribes={MARKET: None, ORDERS: state.orders_offset or StreamOffset(ORDERS.name, "", 0)},
        publishes=[POSITIONS],
        serves=[RISK_REQUESTS],
        sends_commands=[COMMANDS],
        journal=journal,
        journal_stream=DECISIONS,
    )


def read_log(records: Iterable[Record]) -> Iterator[tuple[int, DecisionMessage]]:
    """Decode the records of the log; a record that cannot be decoded is corruption, even with a valid checksum."""
    decode = message_decoder(DECISIONS)
    for record in records:
        try:
            yield record.sequence, decode(record.payload)
        except InvalidFrame as error:
            raise CorruptData(f"record {record.sequence}: {error.detail}") from error
