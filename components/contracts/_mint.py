"""The token without which no Signal can be constructed."""

from typing import Final, final


@final
class Mint:
    """The capability to construct a Signal. An import contract restricts it to the signal and approval modules."""

    __slots__ = ()


MINT: Final = Mint()
