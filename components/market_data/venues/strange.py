"""What reading a venue's bytes may raise where a decoder forgot something; it costs those bytes and nothing else."""

from typing import Final

import msgspec

from components.contracts.errors import ProtocolError

DECODE_ERRORS: Final = (
    ProtocolError,
    msgspec.MsgspecError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RecursionError,
)
