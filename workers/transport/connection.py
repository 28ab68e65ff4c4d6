"""A session's connection to the relay: keeps it up, reads all the time, waits within a deadline.

Everything here runs in one event loop. Reading never waits for sending: two parties that both
only wrote would wait for each other for ever.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidURI

from workers.mpc.errors import ProtocolError
from workers.mpc.protocol import PartyId, Round
from workers.transport import notices
from workers.transport.dialling import delays, describe, dial, refusal
from workers.transport.errors import ChannelLost, NotAdmitted, SessionAborted, TransportError
from workers.transport.session import Session

_ACKNOWLEDGE_AFTER_SECONDS = 0.02
_FINAL_CLOSES = {
    notices.CLOSE_REPLACED: "the same site connected a second time",
    notices.CLOSE_UNSUPPORTED: "the relay refused a text message",
    notices.CLOSE_FORGED: "the relay refused a frame as not this party's to send",
    notices.CLOSE_TOO_BIG: "the relay refused a frame as too big",
}


class RelayConnection:
    """Moves a session's messages between its party and the relay until it is finished or fails."""

    def __init__(
        self,
        url: str,
        session: Session,
        *,
        authorization: Callable[[], str],
        ssl_context: ssl.SSLContext | None,
        deadline_seconds: float,
    ) -> None:
        self._url = url
        self._session = session
        self._authorization = authorization
        self._ssl_context = ssl_context
        self._deadline_seconds = deadline_seconds
        self._failure: Exception | None = None
        self._finishing = False
        self._left = False
        self._reached = False
        self._state = "not yet connected"
        self._stop = asyncio.Event()
        self._progress = asyncio.Event()
        self._to_send = asyncio.Event()
        self._progress_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # For the party

    async def exchange(self, round_: Round) -> Mapping[PartyId, bytes]:
        """Send and receive one round.

        *Raises* TransportError or ProtocolError; after either the connection is over.
        """
        self._check()
        try:
            self._session.begin(round_)
        except (TransportError, ProtocolError) as error:
            self._fail(error)
            raise
        self._signal()
        await self._until(lambda: self._session.round_complete)
        return self._session.take()

    async def finish(self) -> bool:
        """Wait until all others have consumed everything, then leave; whether they have."""
        self._finishing = True
        self._session.release_acknowledgements()
        self._signal()
        with suppress(TransportError, ProtocolError):
            await self._until(lambda: self._session.settled and self._left)
        self._stop.set()
        return self._session.settled

    def give_up(self) -> None:
        """Leave without waiting; the others are told that this party will not come back."""
        self._fail(ChannelLost("this party gave up"))

    # For the relay

    async def run(self) -> None:
        """Connect, and connect again, until finished or failed."""
        try:
            await self._stay_connected()
        except Exception as error:
            # Whatever it is, the party must hear of it rather than wait for its deadline.
            self._fail(error)

    async def _stay_connected(self) -> None:
        pauses = delays()
        while not self._stop.is_set():
            self._reached = False
            try:
                async with dial(
                    self._url, authorization=self._authorization(), ssl_context=self._ssl_context
                ) as socket:
                    self._state = "connected; other parties are not"
                    await self._converse(socket)
            except (OSError, EOFError, InvalidHandshake, InvalidProxy, InvalidURI) as error:
                self._state = f"not connected: {describe(error)}"
                reason = refusal(error)
                if reason is not None:
                    self._fail(NotAdmitted(f"the session could not be joined: {reason}"))
            if self._reached:
                pauses = delays()
            with suppress(TimeoutError):
                async with asyncio.timeout(next(pauses)):
                    await self._stop.wait()

    async def _converse(self, socket: ClientConnection) -> None:
        beside = [asyncio.create_task(self._write(socket)), asyncio.create_task(self._hang(socket))]
        try:
            await self._read(socket)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._session.interrupt()
        await socket.wait_closed()
        code = socket.close_code
        self._state = f"connection closed with code {code}"
        self._left = self._finishing and code == notices.CLOSE_LEFT
        if code == notices.CLOSE_ABORTED:
            self._fail(SessionAborted("the relay ended the session", missing=()))
        elif code in _FINAL_CLOSES:
            self._fail(NotAdmitted(_FINAL_CLOSES[code]))
        self._progress.set()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for message in socket:
                if isinstance(message, str):
                    self._heed(notices.parse_notice(message))
                elif self._session.receive(message):
                    self._progress_at = asyncio.get_running_loop().time()
                self._signal()
        except ConnectionClosed:
            pass
        except (TransportError, ProtocolError) as error:
            self._fail(error)
        except ValueError as error:
            self._fail(ChannelLost(f"the relay sent a notice that is none: {error}"))
        if self._failure is not None:
            await socket.close(notices.CLOSE_GAVE_UP)

    def _heed(self, notice: notices.Notice) -> None:
        match notice:
            case notices.Ready(epoch):
                self._reached = True
                self._state = "all parties are connected"
                self._session.ready(epoch)
            case notices.Waiting(missing):
                self._state = f"parties {missing} are not connected"
                self._session.interrupt()
            case notices.Left(party):
                self._session.left(party)
            case notices.Aborted(missing):
                raise SessionAborted(f"parties {missing} are gone for good", missing=missing)

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                message = self._session.next_message()
                if message is not None:
                    await socket.send(message)
                    self._progress.set()
                elif self._finishing and self._session.settled:
                    return await socket.close(notices.CLOSE_LEFT)
                else:
                    self._to_send.clear()
                    await self._to_send.wait()
        except ConnectionClosed:
            return None
        except (TransportError, ProtocolError) as error:
            self._fail(error)

    async def _hang(self, socket: ClientConnection) -> None:
        await self._stop.wait()
        await socket.close(notices.CLOSE_GAVE_UP)

    # Waiting

    def _signal(self) -> None:
        self._progress.set()
        self._to_send.set()
        if self._timer is None and self._session.owes_acknowledgements:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_ACKNOWLEDGE_AFTER_SECONDS, self._acknowledge)

    def _acknowledge(self) -> None:
        self._timer = None
        self._session.release_acknowledgements()
        self._to_send.set()

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        self._stop.set()
        self._progress.set()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _until(self, done: Callable[[], bool]) -> None:
        """Wait for a condition while there is progress: any new frame or acknowledgement."""
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        while not done():
            self._check()
            deadline = max(began_at, self._progress_at) + self._deadline_seconds
            if loop.time() >= deadline:
                self._fail(
                    ChannelLost(
                        f"nothing new for {self._deadline_seconds:g} s; parties "
                        f"{self._session.awaited} are awaited; {self._state}"
                    )
                )
            self._progress.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await self._progress.wait()
