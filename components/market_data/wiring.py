"""Everything the market_data process is made of, on one page."""

from random import random

from components.contracts.topics import BOOKS, MARKET
from components.contracts.values import Symbol
from components.market_data.config import MarketDataConfig
from components.market_data.service.books import BookDesk
from components.market_data.service.market import MarketDataService
from components.market_data.service.quotes import Patience, QuoteDesk
from components.market_data.venues.alpaca.feed import ALPACA, AlpacaFeed
from components.market_data.venues.alpaca.session import Keys
from components.runtime.process import Loop, Process
from components.runtime.secrets import Secret


def market_data(process: Process) -> None:
    """Wire the parts together and serve until asked to stop."""
    config = process.config(MarketDataConfig)
    symbols = tuple(Symbol(symbol) for symbol in config.symbols)
    keys = Keys(Secret(process.secret(config.alpaca.key)), Secret(process.secret(config.alpaca.secret)))
    feed = AlpacaFeed(config.alpaca, keys, symbols, process.clock, random)
    patience = Patience(config.quote_age_ms_max, config.first_quote_ms_max)
    quotes = QuoteDesk(ALPACA, symbols, patience, process.metrics)
    service = MarketDataService(quotes, BookDesk((), process.metrics, random))
    process.serve(service, says=[MARKET, BOOKS], feed=feed, loop=Loop.ASYNC)
