"""Composition root of the sandbox: builds all parts, serves them, and shuts them down in order."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec
import uvloop
from aiohttp import web
from msgspec import structs

from components.runtime.cli import print_result
from components.runtime.clock import SystemClock
from components.runtime.filesystem import make_private_folder, write_atomic
from components.runtime.logs import configure, logger, redact
from components.runtime.process.shutdown import SHUTDOWN_SIGNALS, ShutdownRequested, ShutdownSignals
from components.sandbox.alpaca.core.session import AdjustableClock, TradingSession
from components.sandbox.alpaca.server.admin import AdminRoutes
from components.sandbox.alpaca.server.crypto import CryptoMarket
from components.sandbox.alpaca.server.data_stream import DataStream
from components.sandbox.alpaca.server.exchange import Exchange, MarketSimulator
from components.sandbox.alpaca.server.ledger import Ledger
from components.sandbox.alpaca.server.middleware import auth_middleware, error_middleware
from components.sandbox.alpaca.server.rest_account import AccountRoutes
from components.sandbox.alpaca.server.rest_data import MarketDataRoutes
from components.sandbox.alpaca.server.rest_orders import OrderRoutes
from components.sandbox.alpaca.server.rest_reference import ReferenceRoutes
from components.sandbox.alpaca.server.storage import MarketState, StateChange, StoredState
from components.sandbox.alpaca.server.trade_updates import TradeUpdatesStream
from components.sandbox.alpaca.venue import AlpacaVenue
from components.sandbox.config import ALPACA, TEST_SYMBOL, Settings
from components.sandbox.crypto_admin import VenueUrls
from components.sandbox.crypto_venues import CryptoVenues
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.faults import AlpacaFaultSwitches
from components.sandbox.transport.http_server import HOST, HttpServers

BODY_BYTES_MAX = 1 << 16


class Ready(msgspec.Struct, frozen=True, omit_defaults=True):
    """Addresses and credentials of the running venues; `run --json` prints it."""

    admin_url: str
    key: str
    secret: str
    trading_url: str = ""
    stream_url: str = ""
    data_url: str = ""
    venues: dict[str, VenueUrls] = {}


class Parts(NamedTuple):
    """The parts of one sandbox process."""

    ledger: Ledger
    credentials: Credentials
    exchange: Exchange
    simulator: MarketSimulator
    trade_updates: TradeUpdatesStream
    data_streams: dict[str, DataStream]
    crypto_market: CryptoMarket
    symbols: tuple[str, ...]
    market_state: MarketState
    crypto_venues: CryptoVenues
    trading: web.Application
    admin: web.Application


def serve(settings: Settings, signals: ShutdownSignals, *, as_json: bool) -> None:
    """Run the sandbox until a signal stops it."""
    log = configure("sandbox")
    with suppress(ShutdownRequested):
        uvloop.run(_serve_until_signal(settings, signals, as_json=as_json))
    log.info("sandbox_stopped")


async def run(settings: Settings, announce: Callable[[Ready], None], stop: asyncio.Event) -> None:
    """Open the venues, announce their addresses, and serve until `stop` is set or the ledger fails."""
    parts, servers = build(settings), HttpServers()
    try:
        parts.ledger.start()
        parts.simulator.start((*parts.symbols, TEST_SYMBOL), parts.market_state)
        await parts.ledger.commit(StateChange(credentials=parts.credentials, prices=parts.exchange.market_state()))
        if settings.keys is not None:
            # The key files exist before the first port opens, so a client that can connect can also read them.
            write_key_files(parts.credentials, settings.keys)
        port = await servers.open(parts.trading, settings.port) if ALPACA in settings.venues else 0
        await parts.crypto_venues.open(servers)
        admin_port = await servers.open(parts.admin, settings.admin_port)
        parts.exchange.resume_orders()
        announce(_ready(parts, port, admin_port, settings.keys))
        await _until_stopped(parts, settings, stop)
        parts.exchange.persist_prices()
    finally:
        data_streams = (*parts.data_streams.values(), parts.crypto_market.data_stream)
        parts.crypto_venues.disconnect_all()
        parts.trade_updates.disconnect()
        for stream in data_streams:
            stream.disconnect()
        await servers.close()
        parts.ledger.close()


def build(settings: Settings) -> Parts:
    """Build all parts; nothing runs yet."""
    ledger, clock, faults = Ledger(settings.state), AdjustableClock(SystemClock().now_ns), AlpacaFaultSwitches()
    now_ns = clock.now_ns
    stored = ledger.load()
    credentials = stored.credentials or _new_credentials(now_ns())
    redact(credentials.secret)
    symbols = _listed_symbols(settings, stored)
    venue = AlpacaVenue(
        stored.account, frozenset(symbols), TradingSession(settings.session), settings.seed, lambda: str(uuid4())
    )
    trade_updates = TradeUpdatesStream(credentials, faults)
    exchange = Exchange(venue, ledger, trade_updates, faults, now_ns)
    data_streams = {name: DataStream(credentials, frozenset(symbols)) for name in ("iex", "sip")}
    data_streams["test"] = DataStream(credentials, frozenset({TEST_SYMBOL}))
    simulator = MarketSimulator(exchange, tuple(data_streams.values()), settings.seed, now_ns)
    crypto_market = CryptoMarket(credentials, settings.seed, now_ns)

    authentication = auth_middleware(credentials, settings.rate_limit_per_minute, faults, now_ns)
    trading = web.Application(middlewares=[authentication], client_max_size=BODY_BYTES_MAX)
    trading.add_routes(OrderRoutes(exchange).routes())
    trading.add_routes(AccountRoutes(exchange, credentials).routes())
    trading.add_routes(ReferenceRoutes(exchange, symbols).routes())
    trading.add_routes(MarketDataRoutes(simulator.histories, frozenset(symbols), now_ns).routes())
    trading.add_routes(crypto_market.routes())
    trading.add_routes([web.get("/stream", trade_updates.serve)])
    trading.add_routes([web.get(f"/v2/{name}", stream.serve) for name, stream in data_streams.items()])
    admin = web.Application(middlewares=[error_middleware])
    admin.add_routes(
        AdminRoutes(
            exchange, simulator, trade_updates, {**data_streams, "crypto": crypto_market.data_stream}, clock
        ).routes()
    )
    crypto = CryptoVenues(settings, credentials, now_ns)
    admin.add_routes(crypto.admin_routes())
    return Parts(
        ledger,
        credentials,
        exchange,
        simulator,
        trade_updates,
        data_streams,
        crypto_market,
        symbols,
        stored.market_state,
        crypto,
        trading=trading,
        admin=admin,
    )


async def _serve_until_signal(settings: Settings, signals: ShutdownSignals, *, as_json: bool) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in SHUTDOWN_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    signals.defer_to_drain()
    await run(settings, lambda ready: _announce(ready, as_json=as_json), stop)


async def _until_stopped(parts: Parts, settings: Settings, stop: asyncio.Event) -> None:
    """Run the markets and the housekeeping; the first task that ends cancels the others."""
    # At speed 0 the markets move only through the admin API.
    rate, is_open = settings.crypto_rate * settings.speed, ALPACA in settings.venues
    market = [parts.simulator.run(settings.speed), parts.crypto_market.run(rate)] if settings.speed and is_open else []
    work = (
        *market,
        *parts.crypto_venues.tasks(),
        parts.simulator.run_housekeeping(),
        parts.ledger.failed,
        _callback_failure(),
        stop.wait(),
    )
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


def _callback_failure() -> "asyncio.Future[None]":
    """Return a future that fails with the first exception of an event-loop callback.

    An order whose follow-up callback failed would stay in a transient state, so the process must stop.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[None] = loop.create_future()

    def on_exception(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError) and not found.done():
            found.set_exception(error)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(on_exception)
    return found


def _listed_symbols(settings: Settings, stored: StoredState) -> tuple[str, ...]:
    # Symbols with a position or an open order need a price, even if this run was not asked to list them.
    held = [position.symbol for position in stored.account.open_positions()]
    ordered = [order.terms.symbol for order in stored.account.orders.values()]
    return tuple(dict.fromkeys((*settings.symbols, *held, *ordered)))


def _new_credentials(now_ns: int) -> Credentials:
    key = "PK" + secrets.token_hex(9).upper()
    return Credentials(account_id=str(uuid4()), key=key, secret=secrets.token_hex(20), opened_at_ns=now_ns)


def write_key_files(credentials: Credentials, folder: Path) -> None:
    """Write the API key and secret as private files, for processes that did not start this venue."""
    make_private_folder(folder)
    write_atomic(folder / "key", credentials.key.encode())
    write_atomic(folder / "secret", credentials.secret.encode())


def _printable_credentials(credentials: Credentials, folder: Path | None) -> Credentials:
    # Keys that are in files are printed as references, because the output may end up in a log.
    if folder is None:
        return credentials
    return structs.replace(credentials, key=f"file:{folder / 'key'}", secret=f"file:{folder / 'secret'}")


def _ready(parts: Parts, port: int, admin_port: int, keys: Path | None) -> Ready:
    shown = _printable_credentials(parts.credentials, keys)
    ready = Ready(f"http://{HOST}:{admin_port}", shown.key, shown.secret, venues=parts.crypto_venues.urls)
    if not port:
        return ready
    return structs.replace(
        ready,
        trading_url=f"http://{HOST}:{port}",
        stream_url=f"ws://{HOST}:{port}/stream",
        data_url=f"ws://{HOST}:{port}/v2/iex",
    )


def _announce(ready: Ready, *, as_json: bool) -> None:
    logger().info("sandbox_started", trading_url=ready.trading_url, admin_url=ready.admin_url)
    print_result(ready, as_json=as_json)
