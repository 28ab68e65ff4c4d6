"""Sealing frames end to end: session keys of one attempt, and who may use which sequence.

Keys, for each ordered pair of parties and each kind of frame::

    shared = X25519(own private key, peer's public key)
    key    = HKDF-SHA256(shared, salt = manifest digest, length = 32,
                         info = "quorate/session-key/v1" | session id | sender | receiver | suffix)

with an empty suffix for DATA and ``ack`` for ACK. The nonce is four zero bytes and the sequence
in eight: a key lasts for one attempt and its sequence only grows, so (key, nonce) never repeats.

*Security*: confidentiality and integrity against the relay and every other party, if the public
keys are those that the sites' identities signed for this manifest (checked by the caller). A party
that is compromised during the attempt exposes its own pairs only.
*See* RFC 7748 (X25519, section 6.1: all-zero results), RFC 5869 (HKDF), NIST SP 800-38D (GCM).
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.transport.errors import AlteredFrame, UnknownSender, WrongReceiver, WrongSession
from workers.transport.frames import (
    HEADER_BYTES,
    MAX_SEQUENCE,
    SESSION_ID_BYTES,
    Header,
    Kind,
    parse_header,
)

_INFO = b"quorate/session-key/v1"
_SUFFIX = {Kind.DATA: b"", Kind.ACK: b"ack"}
_MAX_PARTY = 255


@dataclass(frozen=True, repr=False)
class SessionSecrets:
    """What a party needs to talk securely in one attempt; good for one channel only.

    ``peers`` maps every other party to its X25519 public key. The private key must be fresh for
    this attempt and must not outlive its process: used again, it would repeat nonces.
    """

    session_id: bytes
    manifest_digest: bytes
    own: int
    private_key: X25519PrivateKey
    peers: Mapping[int, bytes]
    _unused: threading.Lock = field(default_factory=threading.Lock, init=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.session_id) != SESSION_ID_BYTES or len(self.manifest_digest) != 32:
            raise LocalProtocolError("a session id of 16 and a manifest digest of 32 bytes needed")
        if self.own in self.peers or not self.peers:
            raise LocalProtocolError("peers are the other parties of the session, at least one")
        if any(not 0 <= party <= _MAX_PARTY for party in (self.own, *self.peers)):
            raise LocalProtocolError(f"parties are numbered from 0 to {_MAX_PARTY}")
        keys = {self.private_key.public_key().public_bytes_raw(), *self.peers.values()}
        if len(keys) != len(self.peers) + 1:
            raise LocalProtocolError("two parties of the session have the same key")

    def __repr__(self) -> str:
        return f"SessionSecrets(own={self.own})"

    def burn(self) -> None:
        """Mark these secrets as used.

        *Raises* LocalProtocolError when they were used before.
        """
        if not self._unused.acquire(blocking=False):
            raise LocalProtocolError(
                "session secrets were used before: a new attempt with a new key is needed"
            )


class SessionCipher:
    """Seals and opens one party's frames. It alone counts sequences, so none is sealed twice."""

    def __init__(self, secrets: SessionSecrets) -> None:
        secrets.burn()
        self.own = secrets.own
        self.peers = tuple(sorted(secrets.peers))
        self.session_id = secrets.session_id
        self._process = os.getpid()
        self._keys: dict[tuple[int, int, Kind], AESGCM] = {}
        self._next = {(peer, kind): 0 for peer in self.peers for kind in Kind}
        for peer, public_key in secrets.peers.items():
            shared = _agree(secrets.private_key, peer, public_key)
            for sender, receiver in ((self.own, peer), (peer, self.own)):
                for kind in Kind:
                    self._keys[sender, receiver, kind] = _derive(
                        shared, secrets, sender, receiver, kind
                    )

    def __repr__(self) -> str:
        return f"SessionCipher(own={self.own})"

    def seal(self, kind: Kind, receiver: int, payload: bytes | memoryview, *, more: bool) -> bytes:
        """The next frame of this kind to that party. It can be sent again, never sealed again.

        *Raises* LocalProtocolError in a forked process, whose counters would repeat.
        """
        if os.getpid() != self._process:
            raise LocalProtocolError("session keys cannot be used in a forked process")
        sequence = self._next[receiver, kind]
        if sequence > MAX_SEQUENCE:
            raise LocalProtocolError("all sequence numbers are used")
        self._next[receiver, kind] = sequence + 1
        header = Header(self.session_id, kind, self.own, receiver, sequence, more).to_bytes()
        key = self._keys[self.own, receiver, kind]
        return header + key.encrypt(_nonce(sequence), payload, header)

    def open(self, frame: bytes | memoryview) -> tuple[Header, bytes]:
        """The header and payload of a frame that another party sealed for this one.

        The tag is verified before anything is believed; the order of frames is the caller's.

        *Raises* MalformedFrame, WrongSession, WrongReceiver, UnknownSender, AlteredFrame.
        """
        header = parse_header(frame)
        sender = header.sender
        if header.session_id != self.session_id:
            raise WrongSession("a frame of another session arrived", party=sender)
        if header.receiver != self.own:
            raise WrongReceiver(
                f"a frame for party {header.receiver} arrived at party {self.own}", party=sender
            )
        if sender not in self.peers:
            raise UnknownSender(f"a frame claims to come from party {sender}", party=sender)
        key = self._keys[sender, self.own, header.kind]
        try:
            payload = key.decrypt(
                _nonce(header.sequence), memoryview(frame)[HEADER_BYTES:], header.to_bytes()
            )
        except InvalidTag:
            raise AlteredFrame(
                f"a frame that claims to come from party {sender} was altered or is forged",
                party=sender,
            ) from None
        return header, payload


def _nonce(sequence: int) -> bytes:
    return sequence.to_bytes(12, "big")


def _agree(private_key: X25519PrivateKey, peer: int, public_key: bytes) -> bytes:
    try:
        # OpenSSL refuses low-order points, whose result would be all zero.
        shared = private_key.exchange(X25519PublicKey.from_public_bytes(public_key))
    except ValueError:
        shared = bytes(32)
    if not any(shared):
        raise RemoteProtocolError(f"party {peer} offers an invalid session key", party=peer)
    return shared


def _derive(
    shared: bytes, secrets: SessionSecrets, sender: int, receiver: int, kind: Kind
) -> AESGCM:
    info = _INFO + secrets.session_id + bytes([sender, receiver]) + _SUFFIX[kind]
    derivation = HKDF(SHA256(), length=32, salt=secrets.manifest_digest, info=info)
    return AESGCM(derivation.derive(shared))
