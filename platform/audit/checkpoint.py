"""Checkpoints: signed tree heads of the audit log, and the witnesses' cosignatures.

A checkpoint's text is three lines, the name of the log (its origin), the tree size and the root:

    portal.example/quorate-log
    20852163
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

signed as a note by the log under its origin's name. No extension lines: they would not be covered
by the proofs. A witness signs the same text under two more lines,

    cosignature/v1
    time 1679315147

and its signature line carries the time as 8 big-endian bytes before the Ed25519 signature. It
states: of all the trees of this log that I found consistent, this was the largest at that time.

See https://c2sp.org/tlog-checkpoint and https://c2sp.org/tlog-cosignature
"""

from __future__ import annotations

import base64
import re
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.merkle import HASH_SIZE_BYTES
from audit.signed_note import (
    KeyType,
    NoteError,
    Signature,
    SignedNote,
    VerifierKey,
    check_name,
    decode_base64,
)

MAX_SIZE = 2**63 - 1
_TIMESTAMP = struct.Struct(">Q")
_MAX_TIMESTAMP = 2**63 - 1
_ED25519_SIGNATURE_SIZE_BYTES = 64


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: the log's origin, the number of its entries, and the root over them."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        check_name(self.origin)
        if not 0 <= self.size <= MAX_SIZE:
            raise NoteError(f"expected a tree size from 0 to 2^63 - 1, got {self.size}")
        if len(self.root) != HASH_SIZE_BYTES:
            raise NoteError(f"expected a root of {HASH_SIZE_BYTES} bytes, got {len(self.root)}")

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Return the checkpoint whose text is `text`.

        *Raises* NoteError for anything that `encode` would write differently.
        """
        match = re.fullmatch(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([^\n]+)\n", text, re.ASCII)
        if match is None:
            raise NoteError("expected three lines: origin, tree size, root hash")
        return cls(match[1], int(match[2]), decode_base64(match[3]))

    def encode(self) -> str:
        """Return the three lines of the checkpoint, each with its newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> SignedNote:
    """Return `checkpoint` signed by the log, under the name of its origin."""
    text = checkpoint.encode()
    name = VerifierKey.of(checkpoint.origin, KeyType.LOG, key)
    return SignedNote(text, (Signature(name.name, name.key_id, key.sign(text.encode())),))


def verify(note: SignedNote, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in `note`, once the log's signature over it has been verified.

    Signatures by others are left unread, as the specification asks.

    *Raises* NoteError when `key` did not sign it, or its name is not the checkpoint's origin.
    """
    if key.type is not KeyType.LOG:
        raise NoteError("expected a verifier key of type 0x01 for a log")
    key.check(note.signature_by(key).payload, note.text.encode())
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != key.name:
        raise NoteError(f"expected a checkpoint of {key.name}, got one of {checkpoint.origin}")
    return checkpoint


def cosign(
    checkpoint: Checkpoint, key: Ed25519PrivateKey, *, witness: str, timestamp: int
) -> Signature:
    """Return the signature line by which `witness` states at `timestamp` what it has seen.

    The caller has verified the log's signature and the consistency with what it cosigned before.

    *Units*: `timestamp` in seconds since 1970.
    """
    if not 0 < timestamp <= _MAX_TIMESTAMP:
        raise NoteError(f"expected a timestamp after 1970, got {timestamp}")
    name = VerifierKey.of(witness, KeyType.COSIGNATURE, key)
    signature = key.sign(_cosigned_message(checkpoint, timestamp))
    return Signature(name.name, name.key_id, _TIMESTAMP.pack(timestamp) + signature)


def verify_cosignature(checkpoint: Checkpoint, line: Signature, key: VerifierKey) -> int:
    """Return the time in seconds since 1970 at which witness `key` cosigned `checkpoint`.

    *Raises* NoteError when `line` is not that witness's cosignature of that checkpoint.
    """
    if key.type is not KeyType.COSIGNATURE:
        raise NoteError("expected a verifier key of type 0x04 for a witness")
    if not line.is_by(key):
        raise NoteError(f"expected a cosignature by {key.name}, got one by {line.name}")
    if len(line.payload) != _TIMESTAMP.size + _ED25519_SIGNATURE_SIZE_BYTES:
        raise NoteError("expected a cosignature of 8 bytes of time and 64 of signature")
    timestamp: int = _TIMESTAMP.unpack_from(line.payload)[0]
    if not 0 < timestamp <= _MAX_TIMESTAMP:
        raise NoteError("expected a timestamp after 1970 and below 2^63")
    key.check(line.payload[_TIMESTAMP.size :], _cosigned_message(checkpoint, timestamp))
    return timestamp


def cosigners(note: SignedNote, witnesses: tuple[VerifierKey, ...]) -> frozenset[str]:
    """Return the names of those `witnesses` whose cosignature under `note` verifies.

    Call `verify` first: a cosignature says nothing about who signed for the log. Lines by unknown
    keys are ignored; a line that names a known witness and does not verify is an error.

    *Security*: each witness counts once; two names with one public key are refused, or one
    witness could fill a quorum.
    *Raises* NoteError.
    """
    if len({key.public_key for key in witnesses}) < len(witnesses):
        raise NoteError("expected each witness to have its own public key")
    if len({key.name for key in witnesses}) < len(witnesses):
        raise NoteError("expected each witness to have its own name")
    checkpoint = Checkpoint.parse(note.text)
    found = set()
    for key in witnesses:
        for line in note.signatures:
            if line.is_by(key):
                verify_cosignature(checkpoint, line, key)
                found.add(key.name)
    return frozenset(found)


def _cosigned_message(checkpoint: Checkpoint, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n{checkpoint.encode()}".encode()
