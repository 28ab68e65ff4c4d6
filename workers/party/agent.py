"""The site's agent: one outbound connection to the portal, kept up for good.

It dials, proves who it is, answers, reports, and dials again when the connection breaks. It never
listens. What it answers is `workers.party.responder`'s business; what it reports, `watch`'s.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from workers.party import redaction
from workers.party.errors import PartyError
from workers.party.home import SiteHome
from workers.party.responder import Clock, Enqueue, Responder
from workers.party.watch import Watch
from workers.transport.control import (
    CLOSE_MALFORMED,
    CLOSE_NOT_AUTHENTICATED,
    CLOSE_VERSION,
    MAX_MESSAGE_BYTES,
    PATH,
    VERSION,
    ControlError,
    Message,
    Sender,
    format_message,
    parse_message,
)
from workers.transport.dialling import Dial

logger = logging.getLogger(__name__)

BUSY_LOOK_SECONDS = 0.05
IDLE_LOOK_SECONDS = 0.5
HANDSHAKE_SECONDS = 10.0
_CLOSE_GOING_AWAY = 1001
_FIRST_DELAY_SECONDS = 0.2
_LONGEST_DELAY_SECONDS = 30.0


class AgentError(PartyError):
    """The agent cannot go on by dialling again: its operator has to do something."""


@dataclass(frozen=True)
class Agent:
    """The agent of the site at `home`."""

    home: SiteHome
    clock: Clock
    enqueue: Enqueue

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until `stop` is set.

        *Raises* AgentError when the portal speaks another version of the protocol.
        """
        failures = 0
        while not stop.is_set():
            session = asyncio.create_task(self._connected())
            stopped = asyncio.create_task(stop.wait())
            await asyncio.wait({session, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not session.done():
                session.cancel()
                await asyncio.gather(session, return_exceptions=True)
                return
            failures = 0 if session.result() else failures + 1
            delay = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** min(failures, 10))
            # Jitter, so that all sites do not come back at the same moment.
            delay *= 0.5 + secrets.randbelow(1000) / 1000
            await _wait(stop, delay)

    async def _connected(self) -> bool:
        """Hold one connection until it breaks; return whether the portal had welcomed it."""
        welcomed = False
        try:
            async with Dial(
                self.home.websocket_url(PATH),
                ssl=self.home.ssl_context(),
                proxy=True,
                compression=None,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=HANDSHAKE_SECONDS,
            ) as socket:
                responder = Responder(self.home, clock=self.clock, enqueue=self.enqueue)
                heartbeat_seconds = await self._shake_hands(socket, responder)
                welcomed = True
                logger.info("connected to %s", self.home.configuration.portal_url)
                try:
                    await self._speak(socket, responder, heartbeat_seconds)
                except asyncio.CancelledError:
                    await socket.close(_CLOSE_GOING_AWAY, "the agent was stopped")
                    raise
        except ControlError as error:
            logger.warning("the portal sent what is not a message: %s", error)
        except ConnectionClosed as error:
            received = error.rcvd
            if received is not None and received.code == CLOSE_VERSION:
                raise AgentError(f"the portal does not speak version {VERSION}") from None
            logger.info("disconnected: %s", error)
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
            logger.info("the portal cannot be reached: %s", error)
        except AgentError:
            raise
        except Exception as error:
            # Whatever one message did to us, the next connection may be fine.
            logger.error("this connection was given up: %s", redaction.describe(error))
        return welcomed

    async def _shake_hands(self, socket: ClientConnection, responder: Responder) -> int:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            challenge = await _receive(socket)
            if challenge["type"] != "challenge":
                await _close(socket, CLOSE_MALFORMED, "expected a challenge first")
            if challenge["version"] != VERSION:
                await socket.close(CLOSE_VERSION, f"this agent speaks version {VERSION}")
                raise AgentError(
                    f"the portal speaks version {challenge['version']} of the agent protocol, "
                    f"this agent version {VERSION}: upgrade the older one"
                )
            # Signing for another portal's name would let this one pass for us there.
            if challenge["portal"] != self.home.configuration.portal_url:
                await _close(socket, CLOSE_NOT_AUTHENTICATED, "the challenge names another portal")
            await socket.send(await asyncio.to_thread(responder.hello, challenge))
            welcome = await _receive(socket)
            if welcome["type"] != "welcome" or welcome["site"] != self.home.configuration.site:
                await _close(socket, CLOSE_MALFORMED, "expected to be welcomed")
            return int(welcome["heartbeat_seconds"])

    async def _speak(
        self, socket: ClientConnection, responder: Responder, heartbeat_seconds: int
    ) -> None:
        watch = Watch(self.home, monotonic=time.monotonic, hint=responder.hint)
        woken = asyncio.Event()
        duties: tuple[Awaitable[None], ...] = (
            self._answer(socket, responder, woken),
            self._report(socket, watch, woken),
            _beat(socket, heartbeat_seconds),
        )
        tasks = [asyncio.ensure_future(duty) for duty in duties]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(
        self, socket: ClientConnection, responder: Responder, woken: asyncio.Event
    ) -> None:
        while True:
            message = await _receive(socket)
            for frame in await asyncio.to_thread(responder.answer, message):
                await socket.send(frame)
            woken.set()

    async def _report(self, socket: ClientConnection, watch: Watch, woken: asyncio.Event) -> None:
        while True:
            woken.clear()
            for frame in await asyncio.to_thread(watch.look, now=self.clock()):
                await socket.send(frame)
            pause = BUSY_LOOK_SECONDS if watch.busy else IDLE_LOOK_SECONDS
            await _wait(woken, pause)


async def _beat(socket: ClientConnection, every_seconds: int) -> None:
    frame = format_message({"type": "heartbeat"}, sender=Sender.AGENT)
    while True:
        await socket.send(frame)
        await asyncio.sleep(every_seconds)


async def _receive(socket: ClientConnection) -> Message:
    """Return the next message. *Raises* ControlError after closing, for anything else."""
    frame = await socket.recv()
    try:
        return parse_message(frame, sender=Sender.PORTAL)
    except ControlError as error:
        await socket.close(CLOSE_MALFORMED, str(error)[:120])
        raise


async def _wait(event: asyncio.Event, at_most_seconds: float) -> None:
    """Return when `event` is set, or after a while. asyncio.wait_for may swallow a cancellation."""
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most_seconds):
            await event.wait()


async def _close(socket: ClientConnection, code: int, reason: str) -> None:
    await socket.close(code, reason)
    raise ControlError(reason)
