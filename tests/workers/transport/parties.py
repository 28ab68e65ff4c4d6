"""Parties for tests: their keys, a protocol whose every byte is checked, threads to run them in."""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256, shake_128
from typing import Any, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from workers.coordinator.relay import Member
from workers.mpc.protocol import PartyId, Protocol, Round
from workers.transport.authentication import authorization
from workers.transport.channel import run
from workers.transport.secure import SessionSecrets
from workers.transport.websocket import RelayChannel

SITES = ("north", "south", "west", "east", "centre")
JOIN_TIMEOUT_SECONDS = 60
T = TypeVar("T")


class WrongDelivery(AssertionError):  # noqa: N818 - says what happened
    """A channel delivered bytes that its sender did not send: what must never happen."""


@dataclass
class Attempt:
    """One attempt of a session, with everybody's keys."""

    parties: int = 3
    session_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    manifest_digest: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        self.identities = [Ed25519PrivateKey.generate() for _ in range(self.parties)]
        self.private_keys = [X25519PrivateKey.generate() for _ in range(self.parties)]

    @property
    def session(self) -> str:
        return self.session_id.hex()

    def members(self) -> dict[str, Member]:
        return {
            SITES[party]: Member(party, identity.public_key().public_bytes_raw())
            for party, identity in enumerate(self.identities)
        }

    def secrets(self, own: int) -> SessionSecrets:
        peers = {
            party: key.public_key().public_bytes_raw()
            for party, key in enumerate(self.private_keys)
            if party != own
        }
        return SessionSecrets(
            self.session_id, self.manifest_digest, own, self.private_keys[own], peers
        )

    def header(self, party: int, **changes: Any) -> str:
        stated: dict[str, Any] = {
            "session": self.session,
            "site": SITES[party],
            "issued_at": int(time.time()),
            "nonce": secrets.token_hex(16),
        }
        return authorization(self.identities[party].sign, **(stated | changes))

    def path(self) -> str:
        return f"/relay/v1/{self.session}"

    def channel(self, party: int, base_url: str, **options: Any) -> RelayChannel:
        options.setdefault("deadline_seconds", 20)
        return RelayChannel(
            base_url + self.path(),
            authorization=lambda: self.header(party),
            secrets=self.secrets(party),
            **options,
        )


def content(round_index: int, sender: int, receiver: int, size_bytes: int) -> bytes:
    """What ``sender`` sends to ``receiver`` in that round of :func:`talk`."""
    return shake_128(bytes([round_index, sender, receiver])).digest(size_bytes)


def talk(own: int, parties: int, sizes: Sequence[int]) -> Protocol[str]:
    """Everybody sends everybody ``sizes[k]`` bytes in round k; all that arrives is checked."""
    others = [PartyId(party) for party in range(parties) if party != own]
    transcript = sha256()
    for index, size in enumerate(sizes):
        arrived = yield Round(
            send={other: content(index, own, other, size) for other in others},
            expect=dict.fromkeys(others, size),
        )
        for other in others:
            if arrived[other] != content(index, other, own, size):
                raise WrongDelivery(f"round {index}: party {own} got a wrong message of {other}")
            transcript.update(arrived[other])
    return transcript.hexdigest()


def talk_result(own: int, parties: int, sizes: Sequence[int]) -> str:
    """What :func:`talk` returns when nothing goes wrong."""
    transcript = sha256()
    for index, size in enumerate(sizes):
        for other in range(parties):
            if other != own:
                transcript.update(content(index, other, own, size))
    return transcript.hexdigest()


def at_once(*actions: Callable[[], T]) -> list[T | BaseException]:
    """Run every action in a thread of its own; their results, or what they raised."""
    outcomes: list[Any] = [AssertionError("the thread did not end")] * len(actions)

    def act(index: int) -> None:
        try:
            outcomes[index] = actions[index]()
        except BaseException as error:
            outcomes[index] = error

    threads = [
        threading.Thread(target=act, args=(index,), daemon=True) for index in range(len(actions))
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + JOIN_TIMEOUT_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return outcomes


def each_party(parties: int, take_part: Callable[[int], T]) -> list[T | BaseException]:
    """Run every party's part in a thread of its own; their results, or what they raised."""
    return at_once(*(partial(take_part, own) for own in range(parties)))


def converse(
    channels: Sequence[AbstractContextManager[RelayChannel]], sizes: Sequence[int]
) -> list[Any]:
    """All parties run :func:`talk` over their channels; their results, or what they raised."""

    def take_part(own: int) -> str:
        with channels[own] as channel:
            return run(talk(own, len(channels), sizes), channel)

    return each_party(len(channels), take_part)


def expected(parties: int, sizes: Sequence[int]) -> list[str]:
    """The outcomes of :func:`converse` when nothing goes wrong."""
    return [talk_result(own, parties, sizes) for own in range(parties)]
