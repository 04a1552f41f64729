"""What may be chosen of OKX: which books, how they are checked, what else is heard."""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class DepthChannel(StrEnum):
    """The venue's channels of one book."""

    BOOKS = "books"
    BOOKS5 = "books5"
    BBO_TBT = "bbo-tbt"
    BOOKS_L2_TBT = "books-l2-tbt"
    BOOKS50_L2_TBT = "books50-l2-tbt"

    @property
    def is_chained(self) -> bool:
        """Say whether changes come, chained by their ids; else every frame is the whole of a shallow book."""
        return self not in (DepthChannel.BOOKS5, DepthChannel.BBO_TBT)

    @property
    def levels(self) -> int:
        """Give the levels of a side that the venue keeps on the channel."""
        return CHANNEL_LEVELS[self]


CHANNEL_LEVELS: Final = {
    DepthChannel.BOOKS: 400,
    DepthChannel.BOOKS5: 5,
    DepthChannel.BBO_TBT: 1,
    DepthChannel.BOOKS_L2_TBT: 400,
    DepthChannel.BOOKS50_L2_TBT: 50,
}


class ChecksumMode(StrEnum):
    """Which checksums are believed."""

    NON_ZERO = "non_zero"
    """The venue sends 0 where it no longer computes one; any other value must be ours."""
    NEVER = "never"


class OkxInstrumentType(StrEnum):
    """The venue's words for what it lists."""

    SPOT = "SPOT"
    SWAP = "SWAP"
    FUTURES = "FUTURES"
    OPTION = "OPTION"


class OkxSettings(Struct, frozen=True, kw_only=True):
    """The choices, with what suits most."""

    depth_channel: DepthChannel = DepthChannel.BOOKS
    checksum: ChecksumMode = ChecksumMode.NON_ZERO
    quotes: bool = True
    """Whether best prices are heard beside the books."""
    trades: bool = True
    inst_types: tuple[OkxInstrumentType, ...] = (
        OkxInstrumentType.SPOT,
        OkxInstrumentType.SWAP,
        OkxInstrumentType.FUTURES,
    )
    option_families: tuple[str, ...] = ()
    """Options are listed family by family only: BTC-USD, ETH-USD."""
    books_per_connection: int = 25
    """The venue recommends fewer than 30 deep books on one connection."""
    cached_trade_age_ms_max: int = 3_000
    """The first trade after a subscription is the last there was; older than this it is nobody's news."""
