"""The control connection of one site's agent: docs/protocols/agent.md, the portal's side.

The connection holds nothing that matters. What a site is owed is derived from the database
(`workers.coordinator.sessions`); what a site says is stored there (`workers.coordinator.answers`);
here is only who is connected, and what was sent to them a moment ago.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from accounts.models import Site
from governance.dispatch import AGENTS
from workers.coordinator import answers, reconciliation, sessions
from workers.coordinator.handshake import Hello, HelloError, admit, still_there
from workers.transport import control
from workers.transport.control import ControlError, Message, Sender, format_message, parse_message

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10
HELLO_SECONDS = 10.0
IDLE_SECONDS, ACTIVE_SECONDS = 2.0, 0.25
RESEND_SECONDS = 10.0
# More than this in one window is no agent of ours: a session takes about ten messages.
WINDOW_SECONDS, WINDOW_MESSAGES = 10.0, 200
CLOSE_TOO_MANY = 1008


class ControlConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One agent's websocket at /agent/v1/control."""

    async def connect(self) -> None:
        """Accept, challenge, and give the agent a few seconds to say who it is."""
        self._site: Site | None = None
        self._nonce = secrets.token_hex(32)
        self._sent: dict[sessions.Key, float] = {}
        self._arrivals: deque[float] = deque()
        self._wake = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._last_heard = self._clock()
        await self.accept()
        await self._say(
            {
                "type": "challenge",
                "version": control.VERSION,
                "nonce": self._nonce,
                "portal": settings.PUBLIC_URL,
            }
        )
        self._task = asyncio.create_task(self._serve())

    async def disconnect(self, code: int) -> None:
        """Forget the connection: the site's rows stay as they are."""
        task = getattr(self, "_task", None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if getattr(self, "_site", None) is not None:
            await self.channel_layer.group_discard(AGENTS, self.channel_name)
            await self.channel_layer.group_discard(self._own_group, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Take one message from the agent: a hello first, then its answers."""
        self._last_heard = self._clock()
        if self._too_many():
            await self.close(CLOSE_TOO_MANY, "too many messages")
            return
        frame = text_data if text_data is not None else bytes_data or b""
        try:
            message = parse_message(frame, sender=Sender.AGENT)
        except ControlError as error:
            await self.close(control.CLOSE_MALFORMED, _reason(error))
            return
        if self._site is None:
            await self._greet(message)
        else:
            await self._take(self._site, message)

    async def changed(self, _event: dict[str, Any]) -> None:
        """Look at the database at once: a hint says that something may be owed."""
        self._wake.set()

    async def replaced(self, event: dict[str, Any]) -> None:
        """Make way for a newer connection of the same site."""
        if event["by"] != self.channel_name:
            await self.close(control.CLOSE_REPLACED, "a newer connection of this site replaced it")

    @property
    def _own_group(self) -> str:
        assert self._site is not None
        return f"agent.{self._site.slug}"

    async def _greet(self, message: Message) -> None:
        if message["type"] != "hello":
            await self.close(control.CLOSE_NOT_AUTHENTICATED, "expected hello first")
            return
        if message["version"] != control.VERSION:
            await self.close(control.CLOSE_VERSION, f"this portal speaks version {control.VERSION}")
            return
        hello = Hello(message, portal=settings.PUBLIC_URL, nonce=self._nonce)
        try:
            self._site = await database_sync_to_async(admit)(hello)
        except HelloError as error:
            logger.warning("refused an agent: %s", error)
            await self.close(control.CLOSE_NOT_AUTHENTICATED, _reason(error))
            return
        await self.channel_layer.group_add(self._own_group, self.channel_name)
        await self.channel_layer.group_send(
            self._own_group, {"type": "replaced", "by": self.channel_name}
        )
        await self.channel_layer.group_add(AGENTS, self.channel_name)
        await self._say(
            {
                "type": "welcome",
                "site": self._site.slug,
                "heartbeat_seconds": HEARTBEAT_SECONDS,
            }
        )
        self._wake.set()

    async def _take(self, site: Site, message: Message) -> None:
        if message["type"] == "hello":
            await self.close(control.CLOSE_MALFORMED, "expected one hello on a connection")
            return
        if message["type"] == "heartbeat":
            await database_sync_to_async(still_there)(site)
            await self._say({"type": "heartbeat"})
            return
        try:
            await database_sync_to_async(answers.receive)(site, message)
        except answers.AnswerError as error:
            logger.warning("%s: %s refused: %s", site, message["type"], error)
            await self._say({"type": "error", "code": error.code, "sentence": error.sentence})
        self._wake.set()

    async def _serve(self) -> None:
        """Send what is owed: at every hint, and again and again in case a hint was lost."""
        while True:
            pause = IDLE_SECONDS
            try:
                pause = await self._attend()
            except Exception:
                # One bad round must not end the connection: the next one may be fine.
                logger.exception("could not attend to the agent of %s", self._site)
            # asyncio.wait_for may swallow a cancellation that comes as the wait ends.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            self._wake.clear()

    async def _attend(self) -> float:
        """Send what is owed now; return after how many seconds to look again."""
        silent_seconds = self._clock() - self._last_heard
        if self._site is None:
            if silent_seconds > HELLO_SECONDS:
                await self.close(control.CLOSE_NOT_AUTHENTICATED, "no hello in time")
            return IDLE_SECONDS
        if silent_seconds > 3 * HEARTBEAT_SECONDS:
            await self.close(control.CLOSE_NOT_AUTHENTICATED, "no heartbeat")
            return IDLE_SECONDS
        active = await database_sync_to_async(reconciliation.reconcile_now_and_then)()
        fresh = self._fresh()
        for key, message in await database_sync_to_async(sessions.due)(self._site, fresh):
            await self._say(message)
            self._sent[key] = self._clock()
        return ACTIVE_SECONDS if active else IDLE_SECONDS

    def _fresh(self) -> frozenset[sessions.Key]:
        """Return the keys of messages that need not be sent again yet on this connection."""
        now = self._clock()
        return frozenset(
            key
            for key, at in self._sent.items()
            if key.kind in sessions.SENT_ONCE or now - at < RESEND_SECONDS
        )

    def _too_many(self) -> bool:
        now = self._clock()
        self._arrivals.append(now)
        while now - self._arrivals[0] > WINDOW_SECONDS:
            self._arrivals.popleft()
        return len(self._arrivals) > WINDOW_MESSAGES

    async def _say(self, message: Message) -> None:
        await self.send(text_data=format_message(message, sender=Sender.PORTAL))


def _reason(error: Exception) -> str:
    """Return the error as a close reason, which a websocket limits to 123 bytes."""
    return str(error).encode()[:120].decode(errors="ignore")
