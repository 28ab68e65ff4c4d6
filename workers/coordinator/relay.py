"""The relay: forwards frames between the parties of a session, which it cannot read.

A plain ASGI websocket application at ``relay/v1/<session, 32 hex>``, to be mounted in Channels'
router. It awaits the receiver's ``send`` before it reads the sender's next frame: that await is
the back-pressure, and memory stays bounded whatever the parties do. It needs no Django; who
belongs to a session, and what to do when a party is lost, are passed in.

*Security*: admits sites only by their registered identity, and frames only under the number of
the party that sends them. Compromised, it can stop sessions and see sizes and timing.
*See* ``docs/protocols/frames.md``.
"""

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from workers.coordinator.relay_connection import AsgiEvent, Connection, Send
from workers.coordinator.relay_session import Member, Patience, RelaySession, SessionMembers
from workers.transport import notices
from workers.transport.authentication import (
    Credential,
    CredentialCheck,
    CredentialError,
    parse_authorization,
)
from workers.transport.errors import MalformedFrame
from workers.transport.frames import (
    ENVELOPE_BYTES,
    MAX_RELAY_MESSAGE_BYTES,
    parse_envelope,
    parse_header,
)

__all__ = ["Member", "SessionMembers", "create_relay"]

logger = logging.getLogger(__name__)

Receive: TypeAlias = Callable[[], Awaitable[AsgiEvent]]
AsgiApplication: TypeAlias = Callable[[AsgiEvent, Receive, Send], Awaitable[None]]
Directory: TypeAlias = Callable[[str], Awaitable[SessionMembers | None]]
OnLost: TypeAlias = Callable[[str, tuple[str, ...]], Awaitable[None]]

_PATH = re.compile(r"(?:.*/)?relay/v1/([0-9a-f]{32})")
_REMEMBERED_SESSIONS = 4096


def create_relay(
    directory: Directory,
    on_lost: OnLost,
    *,
    grace_seconds: float = 15.0,
    join_seconds: float = 30.0,
    stall_seconds: float = 60.0,
    clock: Callable[[], float] = time.time,
) -> AsgiApplication:
    """The relay as an ASGI application.

    ``directory`` tells a session's members, or None for a session that is not to run.
    ``on_lost(session, sites)`` is awaited once when sites are gone for good: missing for longer
    than ``grace_seconds`` (``join_seconds`` before all were there), or having given up. A party
    that reads nothing for ``stall_seconds`` counts as missing. ``clock`` is Unix time.
    """
    relay = _Relay(directory, on_lost, Patience(join_seconds, grace_seconds, stall_seconds), clock)

    # A function: servers that guess an application's form take a bound method for an old one.
    async def application(scope: AsgiEvent, receive: Receive, send: Send) -> None:
        await relay.serve(scope, receive, send)

    return application


class _Relay:
    def __init__(
        self,
        directory: Directory,
        on_lost: OnLost,
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._on_lost = on_lost
        self._patience = patience
        self._clock = clock
        self._credentials = CredentialCheck()
        self._sessions: dict[str, RelaySession] = {}
        self._reports: set[asyncio.Task[None]] = set()
        # Sessions that are over must not start again when a party comes late.
        self._over: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    async def serve(self, scope: AsgiEvent, receive: Receive, send: Send) -> None:
        """Serve one websocket."""
        if scope["type"] != "websocket":
            raise ValueError(f"the relay serves websockets, not {scope['type']}")
        await receive()
        try:
            session_id, members, member = await self._admit(scope)
        except CredentialError as refusal:
            logger.info("relay refused a connection: %s", refusal)
            # Before accept a close is answered with HTTP status 403.
            await send({"type": "websocket.close", "code": notices.CLOSE_FORGED})
            return
        await send({"type": "websocket.accept"})
        connection = Connection(member.party, send, self._patience.stall_seconds)
        if session_id in self._over:
            await self._turn_away(connection, members, self._over[session_id])
            return
        session = self._session(session_id, members)
        session.join(connection)
        code = notices.CLOSE_LOST
        try:
            reading = _forward(connection, receive, session, bytes.fromhex(session_id))
            code = await connection.live(reading)
        finally:
            session.leave(connection, code)

    async def _turn_away(
        self, connection: Connection, members: SessionMembers, lost: tuple[int, ...]
    ) -> None:
        """Answer a party that comes back to a session that is over."""
        if lost:
            await connection.dismiss(notices.CLOSE_ABORTED, notices.Aborted(lost))
        else:
            others = sorted({party for party, _ in members.values()} - {connection.party})
            await connection.dismiss(notices.CLOSE_LEFT, *map(notices.Left, others))

    async def _admit(self, scope: AsgiEvent) -> tuple[str, SessionMembers, Member]:
        path = _PATH.fullmatch(scope["path"])
        if path is None:
            raise CredentialError("the path relay/v1/<32 lower-case hex> was expected")
        credential = _credential(scope)
        if credential.session != path[1]:
            raise CredentialError("the credential is for another session than the path")
        members = await self._directory(credential.session)
        if members is None:
            raise CredentialError(f"session {credential.session} is not one that runs")
        member = members.get(credential.site)
        if member is None:
            raise CredentialError(f"site {credential.site!r} is no member of the session")
        member = Member(*member)
        self._credentials.verify(credential, member.public_key, now=self._clock())
        return credential.session, members, member

    def _session(self, session_id: str, members: SessionMembers) -> RelaySession:
        def ended(lost: tuple[int, ...]) -> None:
            del self._sessions[session_id]
            self._over[session_id] = lost
            if len(self._over) > _REMEMBERED_SESSIONS:
                self._over.popitem(last=False)
            if lost:
                sites = tuple(sorted(site for site, (party, _) in members.items() if party in lost))
                task = asyncio.create_task(self._report(session_id, sites))
                self._reports.add(task)
                task.add_done_callback(self._reports.discard)

        if session_id not in self._sessions:
            self._sessions[session_id] = RelaySession(members, self._patience, ended=ended)
        return self._sessions[session_id]

    async def _report(self, session_id: str, sites: tuple[str, ...]) -> None:
        logger.warning("session %s is over: %s lost", session_id, ", ".join(sites))
        try:
            await self._on_lost(session_id, sites)
        except Exception:
            logger.exception("the loss of %s in session %s was not recorded", sites, session_id)


def _credential(scope: AsgiEvent) -> Credential:
    values = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
    if len(values) != 1:
        raise CredentialError(f"one Authorization header was expected, not {len(values)}")
    return parse_authorization(values[0].decode("latin-1"))


async def _forward(
    connection: Connection, receive: Receive, session: RelaySession, session_id: bytes
) -> int:
    """Forward one party's frames until its connection ends; the code it ended with."""
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return event.get("code") or notices.CLOSE_LOST
        message = event.get("bytes")
        refusal = _refusal(message, connection.party, session_id)
        if message is None or refusal is not None:
            await connection.deliver(
                {"type": "websocket.close", "code": refusal or notices.CLOSE_UNSUPPORTED}
            )
            return notices.CLOSE_GAVE_UP
        receiver = session.receiver(*parse_envelope(message))
        if receiver is not None:
            await receiver.deliver({"type": "websocket.send", "bytes": message})


def _refusal(message: bytes | None, party: int, session_id: bytes) -> int | None:
    """The close code for what a party may not send, or None for one of its own frames."""
    if message is None:
        return notices.CLOSE_UNSUPPORTED
    if len(message) > MAX_RELAY_MESSAGE_BYTES:
        return notices.CLOSE_TOO_BIG
    try:
        addressee, _ = parse_envelope(message)
        header = parse_header(memoryview(message)[ENVELOPE_BYTES:])
    except MalformedFrame:
        return notices.CLOSE_FORGED
    stated = (header.session_id, header.sender, header.receiver)
    return None if stated == (session_id, party, addressee) else notices.CLOSE_FORGED
