"""A portal that speaks the agent protocol over a real websocket, and says whatever a test wants."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from websockets.asyncio.server import ServerConnection, serve

from governance.statements.envelope import Envelope
from governance.statements.letters import Letter
from tests.factories.evidence import NOW, Consortium
from tests.workers.party.consortium_site import Log
from workers.party.agent import Agent
from workers.party.home import SiteHome
from workers.transport import letter as sealed_letter
from workers.transport.control import (
    PATH,
    VERSION,
    Message,
    Sender,
    format_message,
    parse_message,
)

NONCE = "ab" * 32
PATIENCE_SECONDS = 10


@dataclass
class LyingPortal:
    """The portal's end of one agent's connection."""

    frames: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    connected: asyncio.Queue[ServerConnection] = field(default_factory=asyncio.Queue)
    hello: Message = field(default_factory=dict)
    socket: ServerConnection | None = None
    challenge: Message = field(default_factory=dict)
    log: Log | None = None
    steps: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    policies: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    letters: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    entries_held: asyncio.Queue[int] = field(default_factory=asyncio.Queue)

    async def serve(self, socket: ServerConnection) -> None:
        """Challenge, welcome, and collect what the agent says."""
        assert socket.request is not None
        assert socket.request.path == PATH
        await socket.send(format_message(self.challenge, sender=Sender.PORTAL))
        self.hello = parse_message(await socket.recv(), sender=Sender.AGENT)
        welcome = {"type": "welcome", "site": "alder", "heartbeat_seconds": 60}
        await socket.send(format_message(welcome, sender=Sender.PORTAL))
        self.socket = socket
        await self.connected.put(socket)
        async for frame in socket:
            assert isinstance(frame, str)
            message = parse_message(frame, sender=Sender.AGENT)
            # Reports of progress come when they come, even behind what they report.
            if message["type"] == "letter":
                await self.letters.put(message)
            elif message["type"] == "policy":
                await self.policies.put(message)
            elif message["type"] == "entries_held":
                await self.entries_held.put(message["size"])
            elif message["type"] == "progress":
                await self.steps.put(message["step"])
            elif message["type"] != "heartbeat":
                await self.frames.put(frame)

    async def say(self, message: Message) -> None:
        """Send a message; before one that speaks of the log, the entries of `log`."""
        assert self.socket is not None
        if self.log is not None and message["type"] in ("checkpoint", "permit"):
            entries = format_message(self.log.entries_message(), sender=Sender.PORTAL)
            await self.socket.send(entries)
        await self.socket.send(format_message(message, sender=Sender.PORTAL))

    async def hear_frame(self) -> str:
        """Return the next frame of the agent, heartbeats and progress left out."""
        return await asyncio.wait_for(self.frames.get(), PATIENCE_SECONDS)

    async def hear(self) -> Message:
        """Return the next message of the agent."""
        return parse_message(await self.hear_frame(), sender=Sender.AGENT)

    async def ask(self, message: Message) -> Message:
        """Send a message and return what comes next."""
        await self.say(message)
        return await self.hear()

    async def hear_type(self, kind: str) -> Message:
        """Return the next message, which must be of one type."""
        message = await self.hear()
        assert message["type"] == kind, message
        return message

    async def reached(self, step: str) -> None:
        """Wait until the site reports that it has reached `step`."""
        while await asyncio.wait_for(self.steps.get(), PATIENCE_SECONDS) != step:
            pass

    async def heard_entries(self) -> int:
        """Return how many entries the site says it holds, once it says so."""
        return await asyncio.wait_for(self.entries_held.get(), PATIENCE_SECONDS)

    async def letter_with_news(self, consortium: Consortium, recipient: str) -> Letter:
        """Return the next letter to `recipient` with a decision in it, as they would read it."""
        while True:
            message = await asyncio.wait_for(self.letters.get(), PATIENCE_SECONDS)
            if message["recipient"] != recipient:
                continue
            body = sealed_letter.decrypt(
                base64.b64decode(message["ciphertext"]),
                sender="alder",
                recipient=recipient,
                identity=consortium.site_key(recipient),
            )
            letter = Letter.of(Envelope.parse(json.loads(body)))
            if letter.statements:
                return letter

    async def disconnect(self) -> None:
        """Break the connection and wait until the agent is back."""
        assert self.socket is not None
        await self.socket.close()
        self.socket = await asyncio.wait_for(self.connected.get(), PATIENCE_SECONDS)


@asynccontextmanager
async def lying_portal(
    home: SiteHome, enqueue: Callable[[str, int], None]
) -> AsyncIterator[LyingPortal]:
    """Run a portal, and the agent of `home` that connects to it."""
    portal = LyingPortal()
    async with serve(portal.serve, "localhost", 0, max_size=2**20) as server:
        url = f"http://localhost:{server.sockets[0].getsockname()[1]}"
        home.write_configuration(replace(home.configuration, portal_url=url))
        portal.challenge = {
            "type": "challenge",
            "version": VERSION,
            "nonce": NONCE,
            "portal": url,
        }
        stop = asyncio.Event()
        agent = asyncio.create_task(Agent(home, lambda: NOW, enqueue).run(stop))
        try:
            await asyncio.wait_for(portal.connected.get(), PATIENCE_SECONDS)
            yield portal
        finally:
            stop.set()
            await asyncio.wait_for(agent, PATIENCE_SECONDS)
