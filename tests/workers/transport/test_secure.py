"""Sealing: who can open what, and that nothing is ever sealed twice."""

import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.workers.transport.parties import Attempt
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.transport.errors import AlteredFrame, UnknownSender, WrongReceiver, WrongSession
from workers.transport.frames import HEADER_BYTES, Kind, format_count
from workers.transport.secure import SessionCipher, SessionSecrets


@pytest.fixture
def attempt() -> Attempt:
    return Attempt()


def ciphers(attempt: Attempt) -> list[SessionCipher]:
    return [SessionCipher(attempt.secrets(party)) for party in range(attempt.parties)]


def test_a_frame_is_opened_by_its_receiver(attempt: Attempt) -> None:
    sender, receiver, _ = ciphers(attempt)
    header, payload = receiver.open(sender.seal(Kind.DATA, 1, b"share", more=False))
    assert (header.sender, header.sequence, payload) == (0, 0, b"share")
    header, _ = receiver.open(sender.seal(Kind.DATA, 1, b"share", more=False))
    assert header.sequence == 1


def test_keys_and_nonces_are_those_of_the_documentation(attempt: Attempt) -> None:
    """An independent derivation opens both kinds of frames."""
    sender = SessionCipher(attempt.secrets(2))
    shared = attempt.private_keys[0].exchange(attempt.private_keys[2].public_key())
    for kind, suffix, payload in (
        (Kind.DATA, b"", b"share"),
        (Kind.ACK, b"ack", format_count(3)),
    ):
        sender.seal(kind, 0, payload, more=False)
        frame = sender.seal(kind, 0, payload, more=False)
        info = b"quorate/session-key/v1" + attempt.session_id + bytes([2, 0]) + suffix
        key = HKDF(SHA256(), 32, attempt.manifest_digest, info).derive(shared)
        nonce = bytes(4) + (1).to_bytes(8, "big")
        opened = AESGCM(key).decrypt(nonce, frame[HEADER_BYTES:], frame[:HEADER_BYTES])
        assert opened == payload


def test_every_single_bit_of_a_frame_is_protected(attempt: Attempt) -> None:
    sender, receiver, _ = ciphers(attempt)
    frame = sender.seal(Kind.DATA, 1, b"share", more=False)
    for bit in range(8 * len(frame)):
        changed = bytearray(frame)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RemoteProtocolError):
            receiver.open(bytes(changed))
    assert receiver.open(frame)[1] == b"share"


def test_a_frame_is_refused_by_name_wherever_else_it_turns_up(attempt: Attempt) -> None:
    north, south, west = ciphers(attempt)
    frame = north.seal(Kind.DATA, 1, b"share", more=False)
    with pytest.raises(WrongReceiver):
        west.open(frame)
    with pytest.raises(WrongReceiver):
        north.open(frame)  # reflected to its sender
    with pytest.raises(WrongSession):
        ciphers(Attempt())[1].open(frame)
    two = Attempt(parties=2, session_id=attempt.session_id)
    with pytest.raises(UnknownSender):
        SessionCipher(two.secrets(1)).open(west.seal(Kind.DATA, 1, b"share", more=False))
    assert south.open(frame)[1] == b"share"


def test_another_manifest_or_another_key_means_other_session_keys(attempt: Attempt) -> None:
    frame = SessionCipher(attempt.secrets(0)).seal(Kind.DATA, 1, b"share", more=False)
    same_session = Attempt(session_id=attempt.session_id, manifest_digest=attempt.manifest_digest)
    other_manifest = replace(attempt.secrets(1), manifest_digest=bytes(32))
    for secrets in (same_session.secrets(1), other_manifest):
        with pytest.raises(AlteredFrame):
            SessionCipher(secrets).open(frame)


def test_data_and_acknowledgements_are_not_exchangeable(attempt: Attempt) -> None:
    sender, receiver, _ = ciphers(attempt)
    frame = bytearray(sender.seal(Kind.DATA, 1, format_count(9), more=False))
    frame[18] = Kind.ACK
    with pytest.raises(AlteredFrame):
        receiver.open(bytes(frame))


def test_no_key_and_nonce_pair_is_used_twice(attempt: Attempt) -> None:
    """The clear header names the key (sender, receiver, kind) and the nonce (sequence)."""
    seen: set[tuple[int, int, int, bytes]] = set()
    for cipher in ciphers(attempt):
        for receiver in cipher.peers:
            for kind in Kind:
                for _ in range(50):
                    frame = cipher.seal(kind, receiver, bytes(8), more=False)
                    seen.add((frame[19], frame[20], frame[18], frame[21:29]))
    assert len(seen) == 3 * 2 * 2 * 50


def test_session_secrets_serve_one_channel_only(attempt: Attempt) -> None:
    secrets = attempt.secrets(0)
    SessionCipher(secrets)
    with pytest.raises(LocalProtocolError, match="used before"):
        SessionCipher(secrets)


def test_a_forked_process_cannot_seal(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    cipher = SessionCipher(attempt.secrets(0))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(LocalProtocolError, match="forked"):
        cipher.seal(Kind.DATA, 1, b"share", more=False)


LOW_ORDER_POINTS = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.mark.parametrize("point", LOW_ORDER_POINTS, ids=lambda point: point[:2].hex())
def test_a_key_that_forces_the_shared_secret_is_refused(point: bytes) -> None:
    secrets = SessionSecrets(bytes(16), bytes(32), 0, X25519PrivateKey.generate(), {1: point})
    with pytest.raises(RemoteProtocolError) as refused:
        SessionCipher(secrets)
    assert refused.value.party == 1


def test_two_parties_with_one_key_are_refused(attempt: Attempt) -> None:
    own = attempt.private_keys[0]
    copied = own.public_key().public_bytes_raw()
    with pytest.raises(LocalProtocolError, match="same key"):
        SessionSecrets(bytes(16), bytes(32), 0, own, {1: copied})


def test_nothing_secret_is_shown(attempt: Attempt) -> None:
    secrets = attempt.secrets(0)
    assert repr(secrets) == "SessionSecrets(own=0)"
    assert repr(SessionCipher(secrets)) == "SessionCipher(own=0)"
