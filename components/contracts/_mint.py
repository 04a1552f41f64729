"""The token without which no Signal can be constructed."""

from typing import Final, final


@final
class Mint:
    """The capability to construct a Signal. An import contract restricts its use to `signals` and `approval`."""

    __slots__ = ()


MINT: Final = Mint()
