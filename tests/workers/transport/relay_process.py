"""The relay under uvicorn, as :class:`tests.workers.transport.servers.RelayProcess` starts it.

python -m tests.workers.transport.relay_process <descriptor of a listening socket>
"""

import json
import os
import signal
import socket
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import uvicorn

from workers.coordinator.relay import Member, create_relay
from workers.transport.frames import ENVELOPE_BYTES, Kind, parse_header


def application() -> Any:
    """The relay, with a tap on what arrives and a fuse."""
    sessions = json.loads(Path(os.environ["RELAY_MEMBERS"]).read_text())
    fuse = int(os.environ["RELAY_DIE_AFTER"])
    tap_file = os.environ["RELAY_TAP"]
    tap = os.open(tap_file, os.O_WRONLY | os.O_APPEND) if tap_file else None
    forwarded = 0

    async def directory(session: str) -> dict[str, Member] | None:
        members = sessions.get(session)
        return members and {
            site: Member(party, bytes.fromhex(key)) for site, (party, key) in members.items()
        }

    async def on_lost(session: str, sites: tuple[str, ...]) -> None:
        pass

    relay = create_relay(directory, on_lost, grace_seconds=20, join_seconds=20)
    if tap is None:
        return relay

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        async def tapped_receive() -> Any:
            event = await receive()
            if event.get("bytes"):
                frame = event["bytes"][ENVELOPE_BYTES:]
                header = parse_header(frame)
                if header.kind is Kind.DATA:
                    key = f"{header.sender} {header.receiver} {header.sequence}"
                    os.write(tap, f"{key} {sha256(frame).hexdigest()}\n".encode())
            return event

        async def tapped_send(event: Any) -> None:
            nonlocal forwarded
            await send(event)
            if event.get("bytes"):
                forwarded += 1
                if forwarded == fuse:
                    os.kill(os.getpid(), signal.SIGKILL)

        await relay(scope, tapped_receive, tapped_send)

    return serve


if __name__ == "__main__":
    config = uvicorn.Config(
        application(),
        interface="asgi3",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="error",
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
