"""Reads a whole book out of OKX's answer to a GET, where the answer can be joined to the stream."""

from typing import Final

import msgspec

from components.contracts.errors import ProtocolError
from components.contracts.values import Symbol
from components.market_data.core.changes import DepthSnapshot
from components.market_data.venues.okx.frames import AnyLevel, DepthRow, Response
from components.market_data.venues.okx.instruments import NS_PER_MS

NO_ERROR: Final = "0"
_snapshot_decoder: Final = msgspec.json.Decoder(Response[DepthRow[AnyLevel]], strict=False)


def decode_snapshot(symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
    """Read the answer; ContractError where it is no book, or does not say as of which id."""
    row = _single_row(symbol, body)
    if row.seq_id is None:
        raise ProtocolError(f"{symbol}: an image without seqId cannot be joined to the stream")
    at_ns = row.ts * NS_PER_MS
    return DepthSnapshot(symbol, row.seq_id, row.bids, row.asks, at_ns, received_at_ns, is_pushed=False)


def _single_row(symbol: Symbol, body: bytes) -> DepthRow[AnyLevel]:
    try:
        answer = _snapshot_decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"{symbol}: unreadable image: {error}") from error
    if answer.code != NO_ERROR or len(answer.data) != 1:
        raise ProtocolError(f"{symbol}: no image: {answer.code[:20]} {answer.msg[:200]} ({len(answer.data)} books)")
    return answer.data[0]
