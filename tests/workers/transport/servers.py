"""Relays and the networks around them, for tests: real sockets on 127.0.0.1 and free ports."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import uvicorn

from tests.workers.transport.parties import Attempt
from workers.coordinator.relay import Member, create_relay

ROOT = Path(__file__).parents[3]
Deliver = Callable[[dict[str, Any]], Awaitable[None]]


def listening_socket(port: int = 0, *, buffer_bytes: int | None = None) -> socket.socket:
    """A socket that queues connections already, so that no test waits for a server to start.

    Connections inherit ``buffer_bytes``: small ones hold up whoever does not read.
    """
    listener = socket.socket()
    if buffer_bytes is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


class Relay:
    """The product's relay under uvicorn, in a thread; what the network does to it is arranged by
    overriding :meth:`arrive` and :meth:`deliver`."""

    def __init__(
        self,
        *,
        ssl_files: tuple[Path, Path] | None = None,
        buffer_bytes: int | None = None,
        **options: Any,
    ) -> None:
        self.members: dict[str, dict[str, Member]] = {}
        self.lost: list[tuple[str, tuple[str, ...]]] = []
        self.someone_lost = threading.Event()
        self._options = {"grace_seconds": 10, "join_seconds": 10} | options
        self._socket = listening_socket(buffer_bytes=buffer_bytes)
        self.port = self._socket.getsockname()[1]
        self.url = f"{'wss' if ssl_files else 'ws'}://127.0.0.1:{self.port}"
        self.application = self.new_relay()
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.serve,
                ws="websockets-sansio",
                ws_per_message_deflate=False,
                ws_max_size=4 * 1024 * 1024,
                lifespan="off",
                log_config=None,
                interface="asgi3",
                log_level="error",
                timeout_graceful_shutdown=1,
                ssl_certfile=ssl_files[0] if ssl_files else None,
                ssl_keyfile=ssl_files[1] if ssl_files else None,
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def new_relay(self) -> Any:
        async def directory(session: str) -> dict[str, Member] | None:
            return self.members.get(session)

        async def on_lost(session: str, sites: tuple[str, ...]) -> None:
            self.lost.append((session, sites))
            self.someone_lost.set()

        return create_relay(directory, on_lost, **self._options)

    def attempt(self, parties: int = 3) -> Attempt:
        """A new attempt that this relay knows."""
        attempt = Attempt(parties)
        self.members[attempt.session] = attempt.members()
        return attempt

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        async def tapped_receive() -> Any:
            event = await receive()
            if event.get("bytes"):
                await self.arrive(scope, event["bytes"])
            return event

        async def tapped_send(event: dict[str, Any]) -> None:
            if event.get("bytes"):
                await self.deliver(scope, event["bytes"], send)
            else:
                await send(event)

        await self.application(scope, tapped_receive, tapped_send)

    async def arrive(self, scope: Any, message: bytes) -> None:
        """Called with every binary message that a party sends."""

    async def deliver(self, scope: Any, message: bytes, send: Deliver) -> None:
        """Called with every binary message that a party is to get."""
        await send({"type": "websocket.send", "bytes": message})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


class RelayProcess:
    """The relay in a process of its own, to be killed and started again on the same port.

    ``die_after`` makes it kill itself, as SIGKILL does, when it has forwarded that many frames.
    Every DATA frame that reaches it is written to ``tap``: sender, receiver, sequence, SHA-256.
    """

    def __init__(self, attempt: Attempt, folder: Path) -> None:
        self._folder = folder
        self._members = folder / "members.json"
        self._members.write_text(
            json.dumps(
                {
                    attempt.session: {
                        site: [member.party, member.public_key.hex()]
                        for site, member in attempt.members().items()
                    }
                }
            )
        )
        self.tap = folder / "tap"
        self.tap.touch()
        with listening_socket() as free:
            self.port = free.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, die_after: int | None = None, tap: bool = True) -> None:
        environment = os.environ | {
            "RELAY_MEMBERS": str(self._members),
            "RELAY_TAP": str(self.tap) if tap else "",
            "RELAY_DIE_AFTER": str(die_after or 0),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}",
        }
        # The child inherits a listening socket: connections queue while it starts.
        with listening_socket(self.port) as listener:
            descriptor = listener.fileno()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.workers.transport.relay_process", str(descriptor)],
                env=environment,
                cwd=ROOT,
                pass_fds=[descriptor],
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def peak_resident_bytes(self) -> int:
        assert self.process is not None
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def payloads(self) -> dict[str, set[str]]:
        """For every "sender receiver sequence" the digests of all frames that arrived with it."""
        seen: dict[str, set[str]] = {}
        for line in self.tap.read_text().splitlines():
            key, digest = line.rsplit(" ", 1)
            seen.setdefault(key, set()).add(digest)
        return seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Wire:
    """A TCP forwarder between a party and a server, which can be cut and mended.

    With ``connect_method`` it is a minimal HTTP proxy instead, which forwards after CONNECT.
    """

    def __init__(self, port: int, *, connect_method: bool = False) -> None:
        self._target = port
        self._connect_method = connect_method
        self._socket = listening_socket()
        self.port = self._socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        self.requests: list[str] = []
        self.refused = threading.Event()
        """Set when a connection was attempted while the wire was cut."""
        self._whole = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        self._call(self._set_whole, False)

    def mend(self) -> None:
        """Let new connections through again."""
        self._call(self._set_whole, True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        done = threading.Event()

        def act() -> None:
            function(*arguments)
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(10)

    def _set_whole(self, whole: bool) -> None:
        self._whole = whole
        if not whole:
            for writer in self._writers:
                writer.transport.abort()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._socket)
        await self._stop.wait()
        server.close()
        self._set_whole(False)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            self.refused.set()
            return
        if self._connect_method:
            request = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(request.split(b"\r\n")[0].decode())
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, there_writer}
        await asyncio.gather(self._copy(reader, there_writer), self._copy(there_reader, writer))
        self._writers -= {writer, there_writer}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()


@contextmanager
def relay(**options: Any) -> Iterator[Relay]:
    """A well-behaved relay."""
    with Relay(**options) as server:
        yield server
