"""Who enters a data feed and says nothing is shown out."""

import asyncio

import pytest
from aiohttp import ClientSession, WSMsgType, web

from components.sandbox.alpaca.server.data_stream import DataStream
from components.sandbox.transport.auth import Credentials
from components.sandbox.transport.http_server import HOST, HttpServers

pytestmark = pytest.mark.integration


CREDENTIALS = Credentials(account_id="account", key="key", secret="secret", opened_at_ns=0)


def test_a_listener_that_does_not_authenticate_is_told_so_and_disconnected() -> None:
    async def scenario() -> list[str]:
        feed, doors, application = DataStream(CREDENTIALS, frozenset({"AAPL"}), 0.05), HttpServers(), web.Application()
        application.add_routes([web.get("/v2/iex", feed.serve)])
        port = await doors.open(application, 0)
        async with ClientSession() as session, session.ws_connect(f"http://{HOST}:{port}/v2/iex") as data:
            said = [message.data async for message in data if message.type is WSMsgType.TEXT]
        await doors.close()
        return said

    assert asyncio.run(scenario()) == [
        '[{"T":"success","msg":"connected"}]',
        '[{"T":"error","code":404,"msg":"auth timeout"}]',
    ]


def test_keys_in_the_headers_of_the_upgrade_are_enough() -> None:
    async def scenario() -> str:
        feed, doors, application = DataStream(CREDENTIALS, frozenset({"AAPL"})), HttpServers(), web.Application()
        application.add_routes([web.get("/v2/iex", feed.serve)])
        port = await doors.open(application, 0)
        keys = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
        url = f"http://{HOST}:{port}/v2/iex"
        async with ClientSession() as session, session.ws_connect(url, headers=keys) as data:
            await data.receive_str()
            said = await data.receive_str()
        await doors.close()
        return said

    assert asyncio.run(scenario()) == '[{"T":"success","msg":"authenticated"}]'
