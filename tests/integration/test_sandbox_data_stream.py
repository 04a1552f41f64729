"""Login to the market-data stream: timeout, and credentials in the headers."""

import asyncio

import pytest
from aiohttp import ClientSession, WSMsgType, web

from components.sandbox.alpaca.server.data_stream import DataStream
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.http_server import HOST, HttpServers

pytestmark = pytest.mark.integration


CREDENTIALS = Credentials(account_id="account", key="key", secret="secret", opened_at_ns=0)


def test_a_client_that_does_not_authenticate_gets_an_error_and_is_disconnected() -> None:
    async def scenario() -> list[str]:
        stream, servers, application = (
            DataStream(CREDENTIALS, frozenset({"AAPL"}), 0.05),
            HttpServers(),
            web.Application(),
        )
        application.add_routes([web.get("/v2/iex", stream.serve)])
        port = await servers.open(application, 0)
        async with ClientSession() as session, session.ws_connect(f"http://{HOST}:{port}/v2/iex") as data:
            received = [message.data async for message in data if message.type is WSMsgType.TEXT]
        await servers.close()
        return received

    assert asyncio.run(scenario()) == [
        '[{"T":"success","msg":"connected"}]',
        '[{"T":"error","code":404,"msg":"auth timeout"}]',
    ]


def test_credentials_in_the_headers_of_the_upgrade_suffice() -> None:
    async def scenario() -> str:
        stream, servers, application = DataStream(CREDENTIALS, frozenset({"AAPL"})), HttpServers(), web.Application()
        application.add_routes([web.get("/v2/iex", stream.serve)])
        port = await servers.open(application, 0)
        keys = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
        url = f"http://{HOST}:{port}/v2/iex"
        async with ClientSession() as session, session.ws_connect(url, headers=keys) as data:
            await data.receive_str()
            received = await data.receive_str()
        await servers.close()
        return received

    assert asyncio.run(scenario()) == '[{"T":"success","msg":"authenticated"}]'
