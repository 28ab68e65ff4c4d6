"""Signed notes and verifier keys, as the C2SP `signed-note` specification writes them.

A note is text, an empty line, and signature lines, each ending in a newline:

    Ognuno sta solo sul cuor della terra
                                            <- the empty line
    — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6...

A signature line is an em dash, the key's name, and base64(key id || signature). What is signed
is the text with its final newline and without the empty line. A verifier key (vkey) is one word:

    example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
    name           +key id  +base64(type || public key)

    key id = the first 4 bytes of SHA-256(name || 0x0A || type || public key)

The parsers are strict: what they accept, the formatters write back byte for byte.

See https://c2sp.org/signed-note
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, replace
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_ID_SIZE_BYTES = 4
PUBLIC_KEY_SIZE_BYTES = 32
MAX_SIGNATURES = 64
MAX_NOTE_SIZE_BYTES = 65_536


class NoteError(ValueError):
    """A note, signature line or verifier key is malformed, or a signature does not verify."""


class KeyType(IntEnum):
    """The signature types of C2SP that Quorate uses; both are Ed25519."""

    LOG = 0x01
    """Signs the note's text as it stands."""
    COSIGNATURE = 0x04
    """Signs a checkpoint together with a time: ``cosignature/v1``."""


@dataclass(frozen=True)
class VerifierKey:
    """A name, a signature type and an Ed25519 public key: whose signature one would believe."""

    name: str
    type: KeyType
    public_key: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.public_key) != PUBLIC_KEY_SIZE_BYTES:
            raise NoteError(
                f"expected a public key of {PUBLIC_KEY_SIZE_BYTES} bytes, "
                f"got {len(self.public_key)}"
            )

    @classmethod
    def of(
        cls, name: str, type_: KeyType, key: Ed25519PrivateKey | Ed25519PublicKey
    ) -> VerifierKey:
        """Return the verifier key under which `key` signs as `name`."""
        public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
        return cls(name, type_, public.public_bytes_raw())

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Return the verifier key that `text` encodes.

        *Raises* NoteError when it is malformed, of another type, or its key id does not fit.
        """
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise NoteError("expected a verifier key as name+id+key")
        name, key_id, encoded = parts
        material = decode_base64(encoded)
        if not material or material[0] not in tuple(KeyType):
            raise NoteError("expected a verifier key of type 0x01 or 0x04")
        key = cls(name, KeyType(material[0]), material[1:])
        if key_id != key.key_id.hex():
            raise NoteError(f"expected the key id {key.key_id.hex()} for this verifier key")
        return key

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand for this key in a signature line; not a secure hash."""
        material = bytes([self.type]) + self.public_key
        return hashlib.sha256(self.name.encode() + b"\n" + material).digest()[:KEY_ID_SIZE_BYTES]

    def encode(self) -> str:
        """Return this key as one word, the vkey."""
        material = base64.b64encode(bytes([self.type]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    def check(self, signature: bytes, message: bytes) -> None:
        """Check the Ed25519 `signature` over `message`.

        *Raises* NoteError when it does not verify under this key.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise NoteError(f"the signature of {self.name} does not verify") from None


@dataclass(frozen=True)
class Signature:
    """One signature line: who signed, with which key, and what follows the key id."""

    name: str
    key_id: bytes
    payload: bytes

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Return the signature that `line` (without its newline) encodes, unverified."""
        match = re.fullmatch(r"— ([^ ]+) ([^ ]+)", line)
        if match is None:
            raise NoteError("expected a signature line as '— name base64'")
        check_name(match[1])
        material = decode_base64(match[2])
        if len(material) <= KEY_ID_SIZE_BYTES:
            raise NoteError(f"expected a key id and a signature, got {len(material)} bytes")
        return cls(match[1], material[:KEY_ID_SIZE_BYTES], material[KEY_ID_SIZE_BYTES:])

    def encode(self) -> str:
        """Return the signature line, without its newline."""
        return f"— {self.name} {base64.b64encode(self.key_id + self.payload).decode()}"

    def is_by(self, key: VerifierKey) -> bool:
        """Tell whether this line names `key`; it says nothing about whether it verifies."""
        return self.name == key.name and self.key_id == key.key_id


@dataclass(frozen=True)
class SignedNote:
    """A text ending in a newline, and the signature lines under it."""

    text: str
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        if not self.text.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", self.text):
            raise NoteError("expected text ending in a newline, without control characters")
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise NoteError(f"expected 1 to {MAX_SIGNATURES} signature lines")
        if len({(line.name, line.key_id) for line in self.signatures}) < len(self.signatures):
            raise NoteError("expected at most one signature line of each key")

    @classmethod
    def parse(cls, note: str) -> SignedNote:
        """Return the note that `note` encodes, its signatures unverified.

        *Raises* NoteError for anything that `encode` would write differently.
        """
        if len(note) > MAX_NOTE_SIZE_BYTES:
            raise NoteError(f"expected a note of at most {MAX_NOTE_SIZE_BYTES} bytes")
        text, blank, tail = note.rpartition("\n\n")
        if not blank or not tail.endswith("\n"):
            raise NoteError("expected text, an empty line and signature lines")
        return cls(text + "\n", tuple(map(Signature.parse, tail[:-1].split("\n"))))

    def encode(self) -> str:
        """Return text, empty line and signature lines."""
        return self.text + "\n" + "".join(line.encode() + "\n" for line in self.signatures)

    def signature_by(self, key: VerifierKey) -> Signature:
        """Return the line that names `key`, unverified.

        *Raises* NoteError when there is none.
        """
        for line in self.signatures:
            if line.is_by(key):
                return line
        raise NoteError(f"expected a signature by {key.name} ({key.key_id.hex()}), got none")

    def with_signatures(self, *lines: Signature) -> SignedNote:
        """Return the same text with `lines` added under it."""
        return replace(self, signatures=self.signatures + lines)


def check_name(name: str) -> None:
    """Check that `name` may name a key: not empty, no spaces, no plus, no control characters."""
    if not name or "+" in name or any(c.isspace() or not c.isprintable() for c in name):
        raise NoteError("expected a key name without spaces, plus or control characters")


def decode_base64(text: str) -> bytes:
    """Return the bytes that standard base64 `text` encodes, refusing any second spelling."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("expected standard base64") from None
    if base64.b64encode(data).decode() != text:
        raise NoteError("expected canonical base64: padding, and no stray bits at the end")
    return data
