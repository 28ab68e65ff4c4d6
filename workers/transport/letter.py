"""A letter on its way from one site's agent to another's, through a portal that cannot read it.

    plaintext    length of the body (4 bytes, big-endian), the body, zeros up to a multiple of 4 KiB
    ciphertext   RFC 9180 base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM,
                 info = "quorate/letter/v1\\n" + sender + "\\n" + recipient

The body is a signed statement of kind ``letter``. The key is the recipient's identity in its
Montgomery form, so the roster that lists the identity vouches for the encryption too, and there
is no second key to distribute; that Ed25519 signatures and an X25519 key encapsulation are secure
together under one key pair is proven in [Tho21]. Letters of one length class look alike: who
carries them sees when a site writes, and not whether a withdrawal is in it.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from nacl import bindings
from nacl.exceptions import CryptoError

PADDED_TO_BYTES = 4096
MAX_BODY_BYTES = 480 << 10
_LENGTH_BYTES = 4
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class LetterError(ValueError):
    """What was received is no letter encrypted for this site by that sender."""


def encrypt(body: bytes, *, sender: str, recipient: str, recipient_key: bytes) -> bytes:
    """Return `body` for the site `recipient`, whose Ed25519 identity is `recipient_key`.

    *Raises* LetterError for a body longer than 480 KiB or a key that is no point of the curve.
    """
    if len(body) > MAX_BODY_BYTES:
        raise LetterError(f"expected a letter of at most {MAX_BODY_BYTES} bytes, got {len(body)}")
    try:
        montgomery = bindings.crypto_sign_ed25519_pk_to_curve25519(recipient_key)
    except CryptoError:
        raise LetterError(f"the identity key of {recipient} is no point of the curve") from None
    written = len(body).to_bytes(_LENGTH_BYTES, "big") + body
    padded = written + bytes(-len(written) % PADDED_TO_BYTES)
    public_key = X25519PublicKey.from_public_bytes(montgomery)
    return _SUITE.encrypt(padded, public_key, info=_info(sender, recipient))


def decrypt(
    ciphertext: bytes, *, sender: str, recipient: str, identity: Ed25519PrivateKey
) -> bytes:
    """Return the body that `sender` is said to have written to the site of `identity`.

    *Raises* LetterError.
    """
    secret = identity.private_bytes_raw() + identity.public_key().public_bytes_raw()
    montgomery = bindings.crypto_sign_ed25519_sk_to_curve25519(secret)
    private_key = X25519PrivateKey.from_private_bytes(montgomery)
    try:
        padded = _SUITE.decrypt(ciphertext, private_key, info=_info(sender, recipient))
    except (InvalidTag, ValueError):
        raise LetterError(f"it was not encrypted for {recipient} as a letter of {sender}") from None
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    body = padded[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if len(padded) % PADDED_TO_BYTES or len(body) != length or any(padded[4 + length :]):
        raise LetterError("its padding is not that of a letter")
    return body


def _info(sender: str, recipient: str) -> bytes:
    return f"quorate/letter/v1\n{sender}\n{recipient}".encode()
