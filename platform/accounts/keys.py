"""Public keys of people and sites: read them, and check that the sender holds the private half.

A key's document is the roster's JSON form of it: `kind` is "ed25519" or "webauthn",

    {"id": "ed25519:<SHA-256 of the key in hex>", "kind": ..., "public_key": "<32 bytes in hex>"}
    {"id": "webauthn:<credential id>", "kind": ..., "public_key": "<COSE key>"}

the latter two in base64url. A proof of possession is an Ed25519 signature, in hex, over a purpose
line and what the key is for, so that a signature made for anything else proves nothing here.
"""

import hashlib
import json
from typing import Any
from urllib.parse import urlsplit

import webauthn
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.core import signing
from webauthn.helpers import bytes_to_base64url, options_to_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    UserVerificationRequirement,
)

from accounts.errors import InvalidFieldsError
from accounts.models import SigningKey, User

_CEREMONY = "accounts.keys.passkey"
_CEREMONY_SECONDS = 300


def ed25519_document(public_key: str, proof: str, *, message: bytes) -> dict[str, Any]:
    """Return the document of a raw Ed25519 key in hex, once `proof` over `message` verifies.

    *Raises* InvalidFieldsError naming the field that is wrong.
    """
    try:
        raw = bytes.fromhex(public_key)
        key = Ed25519PublicKey.from_public_bytes(raw)
    except ValueError:
        raise InvalidFieldsError(
            {"public_key": "Expected a raw Ed25519 public key: 64 hex digits."}
        ) from None
    try:
        key.verify(bytes.fromhex(proof), message)
    except (ValueError, InvalidSignature):
        raise InvalidFieldsError(
            {"proof": "Expected a signature by this key that proves its possession, in hex."}
        ) from None
    return {
        "id": f"ed25519:{hashlib.sha256(raw).hexdigest()}",
        "kind": "ed25519",
        "public_key": raw.hex(),
    }


def begin_passkey(user: User) -> tuple[dict[str, Any], str]:
    """Return the browser's options for a new passkey, and the state to hand to `finish_passkey`."""
    known = user.signing_keys.filter(kind=SigningKey.Kind.PASSKEY).values_list("key_id", flat=True)
    options = webauthn.generate_registration_options(
        rp_id=_relying_party_id(),
        rp_name="Quorate",
        user_id=user.member_id.encode(),
        user_name=user.username,
        user_display_name=str(user),
        authenticator_selection=AuthenticatorSelectionCriteria(
            user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=webauthn.base64url_to_bytes(key_id.partition(":")[2]))
            for key_id in known
        ],
    )
    state = signing.dumps(
        {"challenge": bytes_to_base64url(options.challenge), "member": user.member_id},
        salt=_CEREMONY,
    )
    return json.loads(options_to_json(options)), state


def finish_passkey(user: User, credential: dict[str, Any], state: str) -> dict[str, Any]:
    """Return the document of the passkey that the browser has made for `user`.

    *Security*: the challenge is ours and at most five minutes old, the origin and relying party
    are the portal's, and the authenticator has verified its user.
    *Raises* InvalidFieldsError.
    """
    try:
        begun = signing.loads(state, salt=_CEREMONY, max_age=_CEREMONY_SECONDS)
    except signing.BadSignature:
        raise InvalidFieldsError({"state": "This registration is too old. Start again."}) from None
    if begun["member"] != user.member_id:
        raise InvalidFieldsError(
            {"state": "This registration was begun by someone else. Start again."}
        )
    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=webauthn.base64url_to_bytes(begun["challenge"]),
            expected_rp_id=_relying_party_id(),
            expected_origin=settings.PUBLIC_URL,
            require_user_verification=True,
        )
    except WebAuthnException as error:
        raise InvalidFieldsError({"credential": f"The passkey was not accepted: {error}"}) from None
    return {
        "id": f"webauthn:{bytes_to_base64url(verified.credential_id)}",
        "kind": "webauthn",
        "public_key": bytes_to_base64url(verified.credential_public_key),
    }


def _relying_party_id() -> str:
    host = urlsplit(settings.PUBLIC_URL).hostname
    assert host is not None  # settings refuse a PUBLIC_URL without a host
    return host
