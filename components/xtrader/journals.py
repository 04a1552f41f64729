"""Verifies and dumps a journal from its folder alone; no process needs to run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from components.contracts.decisions import DecisionMessage
from components.contracts.errors import ProtocolError, UsageError
from components.contracts.orders import OrderMessage
from components.runtime.bus.codec import PAYLOAD_BYTES_MAX, typed_decoder
from components.runtime.journal.reader import read_records, verify_journal


def verify(folder: Path) -> dict[str, Any]:
    """Verify the hash chain from the first record."""
    result = verify_journal(_require_folder(folder))
    return {
        "ok": result.ok,
        "records": result.records,
        "last_sequence": result.last_sequence,
        "head_hash": result.head_hash,
        "problem": result.problem,
    }


def dump(folder: Path, from_sequence: int) -> Iterator[dict[str, Any]]:
    """Yield each record as plain names and values."""
    decode = typed_decoder(DecisionMessage | OrderMessage, PAYLOAD_BYTES_MAX)
    for record in read_records(_require_folder(folder), from_sequence):
        try:
            body = decode(record.payload)
        except ProtocolError as error:
            yield {"sequence": record.sequence, "at_ns": record.at_ns, "kind": None, "unreadable": str(error)}
            continue
        kind, entry = type(body).__name__, to_plain_values(body)
        yield {"sequence": record.sequence, "at_ns": record.at_ns, "kind": kind, "entry": entry}


def to_plain_values(value: Any) -> Any:  # noqa: ANN401 -- as wide as what a record may hold
    """Return a message as a dict with field names, which the encoding omits."""
    if isinstance(value, msgspec.Struct):
        return {name: to_plain_values(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [to_plain_values(one) for one in value]
    if isinstance(value, bytes):
        return value.hex()
    return msgspec.to_builtins(value)


def _require_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; a journal is a folder such as var/dev/sandbox/risk")
    return folder
