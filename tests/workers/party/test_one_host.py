"""A site talks to one host: a portal that answers "look over there" is not followed there.

Otherwise whoever holds the portal could have an agent inside a hospital's network send requests to
any other machine of that network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

import pytest

from tests.factories.evidence import NOW
from workers.party import enrolment
from workers.party.agent import Agent
from workers.party.home import SiteHome


@asynccontextmanager
async def http_server(location: str = "") -> AsyncIterator[tuple[str, asyncio.Queue[int]]]:
    """Serve redirects to `location`; give the server's address, and a number for each request."""
    heard: asyncio.Queue[int] = asyncio.Queue()
    numbers = count(1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        heard.put_nowait(next(numbers))
        head = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        writer.write(head.encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", heard


async def test_the_agent_does_not_dial_where_a_portal_points_to(home: SiteHome) -> None:
    async with (
        http_server() as (elsewhere, strangers),
        http_server(elsewhere.replace("http", "ws")) as (portal, heard),
    ):
        home.write_configuration(replace(home.configuration, portal_url=portal))
        stop = asyncio.Event()
        agent = Agent(home, clock=lambda: NOW, enqueue=lambda *_: None)
        running = asyncio.create_task(agent.run(stop))
        async with asyncio.timeout(20):
            while await heard.get() < 2:  # the second time it has given up the first
                continue
        stop.set()
        await running
        assert strangers.empty()


async def test_no_request_goes_where_a_portal_points_to(home: SiteHome) -> None:
    async with http_server() as (elsewhere, strangers), http_server(elsewhere) as (portal, _):
        home.write_configuration(replace(home.configuration, portal_url=portal))
        with pytest.raises(enrolment.PortalError, match="answered 302"):
            await asyncio.to_thread(enrolment.request, home, "/health/")
        assert strangers.empty()
