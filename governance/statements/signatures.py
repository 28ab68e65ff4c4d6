"""Signatures by Ed25519 keys and by passkeys, and how each is checked.

A signature as an envelope carries it::

    {"keyid": "ed25519:...", "sig": "<base64>"}
    {"keyid": "webauthn:...", "sig": "<base64>",
     "webauthn": {"authenticatorData": "<base64url>", "clientDataJSON": "<base64url>"}}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from webauthn import verify_authentication_response
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse

from governance.errors import StatementError, malformed
from governance.reasons import sentence
from governance.statements import keys
from governance.statements.keys import (
    Key,
    KeyKind,
    RelyingParty,
    from_base64,
    from_base64url,
    to_base64,
    to_base64url,
)
from studies.documents import Schema, record, text

SCHEMA: Schema = record(
    {
        "keyid": keys.SCHEMA["properties"]["id"],
        "sig": text(4000, 4),
        "webauthn": record({"authenticatorData": text(4000, 4), "clientDataJSON": text(8000, 4)}),
    },
    optional=["webauthn"],
)


@dataclass(frozen=True)
class Assertion:
    """What an authenticator signed besides the challenge: kept word for word as evidence."""

    authenticator_data: bytes
    client_data_json: bytes


@dataclass(frozen=True)
class Signature:
    """One signature, by the key `keyid`."""

    keyid: str
    sig: bytes
    webauthn: Assertion | None = None

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Signature:
        """Return the signature that `value` (SCHEMA) describes.

        *Raises* StatementError when its base64 is not or its form is not that of its key's kind.
        """
        found = value.get("webauthn")
        if (found is not None) != value["keyid"].startswith("webauthn:"):
            raise malformed("expected webauthn data with signatures of passkeys and only with them")
        try:
            assertion = found and Assertion(
                from_base64url(found["authenticatorData"]), from_base64url(found["clientDataJSON"])
            )
            return cls(value["keyid"], from_base64(value["sig"]), assertion)
        except ValueError as error:
            raise malformed(f"signature by {value['keyid']}: {error}") from None

    @classmethod
    def of_credential(cls, credential: Mapping[str, Any]) -> Signature:
        """Return the signature in what a browser's ``navigator.credentials.get`` gave, as JSON.

        *Raises* StatementError when a field is missing or is not base64url.
        """
        try:
            response = credential["response"]
            assertion = Assertion(
                from_base64url(response["authenticatorData"]),
                from_base64url(response["clientDataJSON"]),
            )
            sig = from_base64url(response["signature"])
            credential_id = to_base64url(from_base64url(credential["id"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise malformed(f"the browser's answer is not a passkey assertion ({error})") from None
        return cls(f"webauthn:{credential_id}", sig, assertion)

    def to_json(self) -> dict[str, Any]:
        """Return the signature as an envelope carries it."""
        value: dict[str, Any] = {"keyid": self.keyid, "sig": to_base64(self.sig)}
        if self.webauthn is not None:
            value["webauthn"] = {
                "authenticatorData": to_base64url(self.webauthn.authenticator_data),
                "clientDataJSON": to_base64url(self.webauthn.client_data_json),
            }
        return value


def verify_signature(
    signature: Signature, *, message: bytes, key: Key, relying_party: RelyingParty | None
) -> None:
    """Check that `signature` is by `key` over `message` (a DSSE pre-authentication encoding).

    *Security*: a passkey signs SHA-256(message) as its challenge; type, origin, rpIdHash, user
    presence and user verification are checked, and pages framed by another origin are refused.
    Its signature counter is not: evidence is verified again and again, in any order.
    *Raises* StatementError (signature_invalid) when it is not.
    """
    if signature.keyid != key.id:
        raise _invalid(key, f"it is by the key {signature.keyid}")
    if key.kind is KeyKind.ED25519:
        try:
            public_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public_key))
            public_key.verify(signature.sig, message)
        except InvalidSignature:
            raise _invalid(key, "it is not over these bytes by this key") from None
    elif signature.webauthn is None or relying_party is None:
        raise _invalid(key, "a passkey counts only for statements of people of the roster")
    else:
        _verify_passkey(signature, signature.webauthn, message, key, relying_party)


def _verify_passkey(
    signature: Signature, assertion: Assertion, message: bytes, key: Key, portal: RelyingParty
) -> None:
    credential_id = key.id.removeprefix("webauthn:")
    try:
        verify_authentication_response(
            credential=AuthenticationCredential(
                id=credential_id,
                raw_id=from_base64url(credential_id),
                response=AuthenticatorAssertionResponse(
                    client_data_json=assertion.client_data_json,
                    authenticator_data=assertion.authenticator_data,
                    signature=signature.sig,
                ),
            ),
            expected_challenge=hashlib.sha256(message).digest(),
            expected_rp_id=portal.rp_id,
            expected_origin=list(portal.origins),
            credential_public_key=from_base64url(key.public_key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except WebAuthnException as error:
        raise _invalid(key, str(error)) from None
    if json.loads(assertion.client_data_json).get("crossOrigin", False) is not False:
        raise _invalid(key, "it was made on a page inside another origin's page")


def _invalid(key: Key, problem: str) -> StatementError:
    details = sentence("signature_invalid", key=key.id, problem=problem.rstrip("."))
    return StatementError("signature_invalid", details)
