"""The channel over the relay, as a worker uses it: blocking, with a thread of its own."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import PartyId, Round
from workers.transport.connection import RelayConnection
from workers.transport.errors import ChannelLost
from workers.transport.secure import SessionSecrets
from workers.transport.session import Session

T = TypeVar("T")

BUFFER_BYTES = 64 * 1024 * 1024
_HANG_UP_SECONDS = 5.0


class RelayChannel:
    """One party's channel to all others of its session, through the relay.

    A context manager: entering starts a thread that connects and reads all the time; leaving
    normally flushes (see :meth:`close`), leaving by an exception gives up at once and lets the
    others know. While the relay or the network is away it reconnects and sends identical frames
    again; nothing is ever sealed twice.

    ``authorization`` is called for a fresh header at every connection. ``deadline_seconds`` is the
    longest that :meth:`exchange` and :meth:`close` wait without anything new, connected or not.
    At most ``buffer_bytes`` of sent frames are kept until they are acknowledged; then
    :meth:`exchange` waits.

    *Security*: confidential and authentic between parties whatever the relay does, which sees
    sizes and timing. *See* ``docs/protocols/frames.md``.
    """

    def __init__(
        self,
        url: str,
        *,
        authorization: Callable[[], str],
        secrets: SessionSecrets,
        ssl_context: ssl.SSLContext | None = None,
        deadline_seconds: float,
        buffer_bytes: int = BUFFER_BYTES,
    ) -> None:
        self._session = Session(secrets, buffer_bytes=buffer_bytes)
        self._loop: asyncio.AbstractEventLoop
        self._connection = RelayConnection(
            url,
            self._session,
            authorization=authorization,
            ssl_context=ssl_context,
            deadline_seconds=deadline_seconds,
        )
        self._done = asyncio.Event()
        self._thread = threading.Thread(target=self._serve, name="relay-channel", daemon=True)
        # Guards the two flags, so that no work is handed to a loop that has ended.
        self._lock = threading.Lock()
        self._entered = False
        self._ended = False

    def __enter__(self) -> Self:
        with self._lock:
            if self._entered:
                raise LocalProtocolError("a relay channel is entered once")
            self._loop = asyncio.new_event_loop()
            self._thread.start()
            self._entered = True
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is None:
            self.close()
        else:
            self._abandon()

    def exchange(self, round: Round) -> Mapping[PartyId, bytes]:  # noqa: A002
        """As :class:`workers.transport.channel.BlockingChannel` says.

        *Raises* also SessionAborted naming the parties that are gone, ChannelLost, NotAdmitted,
        FrameError. After any of them the channel is dead and every call raises again.
        """
        return self._call(self._connection.exchange(round))

    def close(self) -> bool:
        """Flush and leave; whether all others have consumed everything that was sent to them.

        Waits, within the deadline, so that the last round survives a reconnect of its receiver.
        False means that some party may lack this party's last message, or that its acknowledgement
        was lost: what that party certifies decides.
        """
        if self._ended:
            return self._session.settled
        settled = self._call(self._connection.finish())
        self._stop()
        return settled

    def abort(self) -> None:
        """Give up at once and let the others know; may be called from any thread.

        Whoever waits in :meth:`exchange` or :meth:`close` gets ChannelLost.
        """
        self._abandon()

    def transcript_digests(self) -> dict[int, dict[str, str]]:
        """For every peer ``{"sent": ..., "received": ...}``: SHA-256, in hexadecimal, over the
        DATA frames of that direction in sequence order. After the protocol has ended, what one
        end has sent is what the other has received."""
        return self._session.transcript_digests()

    @property
    def duplicates(self) -> int:
        """How many frames came more than once and were ignored."""
        return self._session.duplicates

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        with self._lock:
            if not self._entered or self._ended:
                work.close()
                if self._ended:
                    raise ChannelLost("the channel was closed")
                raise LocalProtocolError("a relay channel is used inside its with block only")
            future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except CancelledError:
            raise ChannelLost("the channel was given up by another thread") from None

    def _abandon(self) -> None:
        with suppress(ChannelLost):
            self._call(self._give_up())
        self._stop()

    async def _give_up(self) -> None:
        self._connection.give_up()

    def _stop(self) -> None:
        with self._lock:
            if not self._ended:
                self._ended = True
                self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._keep_running())

    async def _keep_running(self) -> None:
        running = asyncio.create_task(self._connection.run())
        await self._done.wait()
        await asyncio.wait([running], timeout=_HANG_UP_SECONDS)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
