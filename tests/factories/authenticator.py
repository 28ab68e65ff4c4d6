"""A software passkey: what an authenticator and a browser do together, small enough to lie with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from governance.statements.keys import Key, to_base64url

USER_PRESENT = 0x01
USER_VERIFIED = 0x04


@dataclass(frozen=True)
class Authenticator:
    """One ES256 credential. `assertion` answers a challenge as ``navigator.credentials.get`` does.

    A test lies by changing one argument.
    """

    name: str = "passkey"
    rp_id: str = "localhost"
    origin: str = "http://localhost:8000"
    private_key: ec.EllipticCurvePrivateKey = field(init=False)

    def __post_init__(self) -> None:
        secret = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:31], "big")
        object.__setattr__(self, "private_key", ec.derive_private_key(secret, ec.SECP256R1()))

    @property
    def credential_id(self) -> bytes:
        """The credential's id."""
        return hashlib.sha256(b"credential " + self.name.encode()).digest()[:16]

    @property
    def cose_key(self) -> bytes:
        """The public key in COSE form: EC2, ES256, P-256."""
        numbers = self.private_key.public_key().public_numbers()
        x, y = (value.to_bytes(32, "big") for value in (numbers.x, numbers.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    @property
    def key(self) -> Key:
        """The public half, as the roster lists it."""
        return Key.passkey(self.credential_id, self.cose_key)

    def assertion(
        self,
        challenge: bytes,
        *,
        flags: int = USER_PRESENT | USER_VERIFIED,
        kind: str = "webauthn.get",
        **client_data: Any,
    ) -> dict[str, Any]:
        """Return the browser's answer to `challenge`, as JSON."""
        client = json.dumps(
            {
                "type": kind,
                "challenge": to_base64url(challenge),
                "origin": self.origin,
                "crossOrigin": False,
                **client_data,
            }
        ).encode()
        rp_id_hash = hashlib.sha256(self.rp_id.encode()).digest()
        data = rp_id_hash + bytes([flags]) + (1).to_bytes(4, "big")
        signed = data + hashlib.sha256(client).digest()
        return {
            "id": to_base64url(self.credential_id),
            "rawId": to_base64url(self.credential_id),
            "type": "public-key",
            "response": {
                "authenticatorData": to_base64url(data),
                "clientDataJSON": to_base64url(client),
                "signature": to_base64url(self.private_key.sign(signed, ec.ECDSA(SHA256()))),
            },
        }
