"""The envelope of every governance fact: canonical JSON under DSSE signatures.

The wire format, with an example::

    {"payloadType": "application/vnd.quorate.consent.v1+json",
     "payload": "<base64 of the canonical bytes of {\"type\": \"consent\", ...}>",
     "signatures": [{"keyid": "ed25519:5a1f...", "sig": "<base64>"}]}

What is signed is the DSSE pre-authentication encoding of the payload and its type::

    PAE = "DSSEv1" SP len(type) SP type SP len(body) SP body

An Ed25519 key signs PAE; a passkey signs SHA-256(PAE) as its WebAuthn challenge. The payload
repeats its kind as ``type``, so that its bytes alone, and their digest, say what they are.

See https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit import canonical
from governance.errors import StatementError, malformed
from governance.reasons import sentence
from governance.statements import signatures
from governance.statements.keys import Key, RelyingParty, from_base64, to_base64
from governance.statements.signatures import Signature
from studies.documents import Schema, array, check, one_of, record, text


class Kind(StrEnum):
    """What a statement is about."""

    ROSTER = "roster"
    CLASS_APPROVAL = "class-approval"
    STUDY_APPROVAL = "study-approval"
    CONSENT = "consent"
    AGREEMENT = "agreement"
    KEY_OFFER = "key-offer"
    RUN_MANIFEST = "run-manifest"
    RUN_ACCEPTANCE = "run-acceptance"
    RESULT_CERTIFICATE = "result-certificate"
    OPENING_PERMIT = "opening-permit"
    OUTPUT_CHECK = "output-check"
    DATA_SET_REGISTER = "data-set-register"
    SITE_POLICY = "site-policy"
    SITE_RELEASE = "site-release"
    LETTER = "letter"

    @property
    def payload_type(self) -> str:
        """The media type that envelopes of this kind carry."""
        return f"application/vnd.quorate.{self.value}.v1+json"


SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://quorate.org/schemas/envelope.json",
    "title": "The DSSE envelope of every statement",
    **record(
        {
            "payloadType": one_of(*(kind.payload_type for kind in Kind)),
            "payload": text(1_400_000, 4),
            "signatures": array(signatures.SCHEMA, maximum=64),
        }
    ),
}


@dataclass(frozen=True)
class Envelope:
    """A statement: `body` is the payload's canonical bytes. Nothing in it is verified yet."""

    kind: Kind
    body: bytes
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def parse(cls, value: Any) -> Envelope:
        """Return the envelope that `value`, decoded JSON, describes.

        *Raises* StatementError when it has a fault: a field too many, base64 spelt oddly, a body
        that is not canonical or says another ``type``, two signatures by one key.
        """
        try:
            found = check(value, SCHEMA)
            body = from_base64(found["payload"])
            payload = canonical.loads(body)
        except ValueError as error:
            raise malformed(str(error)) from None
        kind = next(kind for kind in Kind if kind.payload_type == found["payloadType"])
        _check_type(kind, payload)
        signed = tuple(Signature.parse(signature) for signature in found["signatures"])
        if len({signature.keyid for signature in signed}) != len(signed):
            raise malformed("expected one signature for each key, came two by one")
        return cls(kind, body, signed)

    def to_json(self) -> dict[str, Any]:
        """Return the envelope as it is sent and stored."""
        return {
            "payloadType": self.kind.payload_type,
            "payload": to_base64(self.body),
            "signatures": [signature.to_json() for signature in self.signatures],
        }

    @property
    def payload(self) -> dict[str, Any]:
        """What is stated, as JSON."""
        value: dict[str, Any] = canonical.loads(self.body)
        return value

    @property
    def digest(self) -> str:
        """SHA-256 of the body, in hex: what other documents and the log call this statement."""
        return hashlib.sha256(self.body).hexdigest()

    def pae(self) -> bytes:
        """Return the bytes that an Ed25519 key signs."""
        return pae(self.kind, self.body)

    def challenge(self) -> bytes:
        """Return the 32 bytes that a passkey signs as its WebAuthn challenge."""
        return hashlib.sha256(self.pae()).digest()


def pae(kind: Kind, body: bytes) -> bytes:
    """Return the DSSE pre-authentication encoding of `body` as a statement of `kind`."""
    payload_type = kind.payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type, len(body), body)


def unsigned(kind: Kind, payload: Mapping[str, Any]) -> Envelope:
    """Return `payload` in an envelope that nobody has signed yet.

    *Raises* StatementError when `payload` has no canonical form or says another ``type``.
    """
    _check_type(kind, payload)
    try:
        return Envelope(kind, canonical.dumps(dict(payload)))
    except canonical.CanonicalError as error:
        raise malformed(str(error)) from None


def sign_ed25519(
    kind: Kind, payload: Mapping[str, Any], private_key: Ed25519PrivateKey
) -> Envelope:
    """Return `payload` in an envelope signed by `private_key`."""
    return add_ed25519(unsigned(kind, payload), private_key)


def add_ed25519(envelope: Envelope, private_key: Ed25519PrivateKey) -> Envelope:
    """Return `envelope` with one more signature, by `private_key`."""
    key = Key.ed25519(private_key.public_key().public_bytes_raw())
    return add_signature(envelope, Signature(key.id, private_key.sign(envelope.pae())))


def add_signature(envelope: Envelope, signature: Signature) -> Envelope:
    """Return `envelope` with `signature`, in place of an earlier one by the same key."""
    others = tuple(other for other in envelope.signatures if other.keyid != signature.keyid)
    return replace(envelope, signatures=(*others, signature))


def signer_keys(envelope: Envelope) -> tuple[str, ...]:
    """Return the ids of the keys that `envelope` says it is signed by."""
    return tuple(signature.keyid for signature in envelope.signatures)


def verify(envelope: Envelope, key: Key, relying_party: RelyingParty | None = None) -> None:
    """Check that `envelope` carries a valid signature by `key`.

    `relying_party` is needed for passkeys, which sites never use.

    *Raises* StatementError: signature_missing or signature_invalid.
    """
    for signature in envelope.signatures:
        if signature.keyid == key.id:
            signatures.verify_signature(
                signature, message=envelope.pae(), key=key, relying_party=relying_party
            )
            return
    raise StatementError("signature_missing", sentence("signature_missing", key=key.id))


def _check_type(kind: Kind, payload: Any) -> None:
    came = payload.get("type") if isinstance(payload, Mapping) else None
    if came != kind.value:
        raise malformed(f"expected a payload whose type is {kind.value}, came {came!r}")
