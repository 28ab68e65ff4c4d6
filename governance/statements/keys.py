"""Public keys: Ed25519 for sites and automation, passkeys for people in a browser.

A key as the roster and the portal write it::

    {"id": "ed25519:<SHA-256 of the raw key>", "kind": "ed25519", "public_key": "<hex>"}
    {"id": "webauthn:<credential id>", "kind": "webauthn", "public_key": "<COSE key>"}

where the passkey's two values are base64url. Base64 is padded, base64url is not, and both have one
spelling for each value.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from webauthn.helpers import decode_credential_public_key
from webauthn.helpers.decoded_public_key_to_cryptography import decoded_public_key_to_cryptography

from governance.errors import malformed
from studies.documents import Schema, one_of, record

_KEY_ID: Schema = {
    "type": "string",
    "pattern": "^(ed25519:[0-9a-f]{64}|webauthn:[A-Za-z0-9_-]{1,1400})$",
}
SCHEMA: Schema = record(
    {
        "id": _KEY_ID,
        "kind": one_of("ed25519", "webauthn"),
        "public_key": {"type": "string", "pattern": "^[A-Za-z0-9_-]{43,4000}$"},
    }
)


class KeyKind(StrEnum):
    """How a key signs."""

    ED25519 = "ed25519"
    PASSKEY = "webauthn"


@dataclass(frozen=True)
class RelyingParty:
    """The portal as passkeys know it: its rpId and the origins its pages may have."""

    rp_id: str
    origins: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """A public key under the name that signatures use for it."""

    id: str
    kind: KeyKind
    public_key: str

    @classmethod
    def ed25519(cls, public_key: bytes) -> Key:
        """Return the key of a raw Ed25519 public key of 32 bytes."""
        identifier = f"ed25519:{hashlib.sha256(public_key).hexdigest()}"
        return cls(identifier, KeyKind.ED25519, public_key.hex())

    @classmethod
    def passkey(cls, credential_id: bytes, cose_key: bytes) -> Key:
        """Return the key of a passkey: its credential id and its public key in COSE form."""
        return cls(
            f"webauthn:{to_base64url(credential_id)}", KeyKind.PASSKEY, to_base64url(cose_key)
        )

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Key:
        """Return the key that `value` (SCHEMA) describes.

        *Raises* StatementError when the public key is not one, or is not that of the id.
        """
        key = cls(value["id"], KeyKind(value["kind"]), value["public_key"])
        try:
            named = key._named_by_its_public_key()
        except Exception:  # the decoders below let through whatever a strange key causes
            raise malformed(f"the public key of {key.id} is not one") from None
        if named != key:
            raise malformed(f"expected the id of the key {named.id}, came {key.id}")
        return key

    def to_json(self) -> dict[str, str]:
        """Return the key as the roster writes it."""
        return {"id": self.id, "kind": self.kind.value, "public_key": self.public_key}

    def _named_by_its_public_key(self) -> Key:
        if self.kind is KeyKind.ED25519:
            raw = bytes.fromhex(self.public_key)
            Ed25519PublicKey.from_public_bytes(raw)
            return Key.ed25519(raw)
        cose_key = from_base64url(self.public_key)
        decoded_public_key_to_cryptography(decode_credential_public_key(cose_key))
        return Key.passkey(from_base64url(self.id.removeprefix("webauthn:")), cose_key)


def to_base64(data: bytes) -> str:
    """Return padded base64."""
    return base64.b64encode(data).decode("ascii")


def from_base64(written: str) -> bytes:
    """Return the bytes of padded base64. *Raises* ValueError for any other spelling."""
    try:
        data = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if to_base64(data) != written:
        raise ValueError("expected base64 with padding")
    return data


def to_base64url(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(written: str) -> bytes:
    """Return the bytes of unpadded base64url. *Raises* ValueError for any other spelling."""
    try:
        data = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
    except (binascii.Error, ValueError):
        data = b""
    if to_base64url(data) != written:
        raise ValueError("expected base64url without padding")
    return data
