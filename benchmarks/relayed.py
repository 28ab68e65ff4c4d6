"""A session for measuring: one relay and n party processes over real encrypted websockets.

Keys are derived from public names: whoever measures has no secrets.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from workers.coordinator.relay import Member, SessionMembers, create_relay
from workers.transport.authentication import authorization
from workers.transport.secure import SessionSecrets
from workers.transport.websocket import RelayChannel

PARTIES = int(os.environ.get("BENCH_PARTIES", "3"))


def _seed(name: str) -> bytes:
    return hashlib.sha256(f"benchmark {name}".encode()).digest()


def _site(party: int) -> str:
    return f"site-{party}"


def _identity(party: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_seed(f"identity {party}"))


def _agreement(session: str, party: int) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(_seed(f"agreement {session} {party}"))


async def _directory(session: str) -> SessionMembers:
    return {
        _site(party): Member(party, _identity(party).public_key().public_bytes_raw())
        for party in range(PARTIES)
    }


async def _lost(session: str, sites: tuple[str, ...]) -> None:
    """Nobody waits for the benchmark's sessions."""


relay = create_relay(_directory, _lost)


async def application(
    scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]
) -> None:
    """Serve the relay, and nothing else."""
    await relay(scope, receive, send)


def channel(port: int, session: str, party: int) -> RelayChannel:
    """Return the channel of one party of one session."""
    return RelayChannel(
        f"ws://127.0.0.1:{port}/relay/v1/{session}",
        authorization=lambda: authorization(
            _identity(party).sign,
            session=session,
            site=_site(party),
            issued_at=int(time.time()),
            nonce=secrets.token_hex(16),
        ),
        secrets=SessionSecrets(
            bytes.fromhex(session),
            _seed("manifest"),
            party,
            _agreement(session, party),
            {
                peer: _agreement(session, peer).public_key().public_bytes_raw()
                for peer in range(PARTIES)
                if peer != party
            },
        ),
        deadline_seconds=60,
    )
