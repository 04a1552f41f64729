"""Runs a command of market_data with short queues, so that a test need not wait long until they are full."""

from msgspec.structs import force_setattr

from components.contracts.streams import BOOKS, MARKET
from components.market_data.__main__ import main

MARK = 500


if __name__ == "__main__":
    for stream in (MARKET, BOOKS):
        force_setattr(stream, "high_water_mark", MARK)
    main()
