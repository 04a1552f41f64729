"""The token without which no Signal can be made."""

from typing import Final, final


@final
class Mint:
    """Held by the two doors only; an import contract keeps it there."""

    __slots__ = ()


MINT: Final = Mint()
