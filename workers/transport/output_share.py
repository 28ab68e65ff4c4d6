"""An output share on its way from a site to the recipient that the manifest names.

    plaintext    the salt of its commitment (32 bytes), then the share: little-endian 64-bit words
    ciphertext   RFC 9180 base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM,
                 info = "quorate/output-share/v1\\n" + manifest digest + "\\n" + site

The commitment itself (`governance.statements.result_statements`) stands in the site's result
certificate, signed before anything is opened: whoever decrypts compares.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

SALT_BYTES = 32
WORD_BYTES = 8
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class OutputShareError(ValueError):
    """What was received is not an output share encrypted for this key and run."""


@dataclass(frozen=True)
class OutputShare:
    """One party's share of a result, as bytes, with the salt of its commitment; never printed."""

    salt: bytes = field(repr=False)
    share: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES:
            raise OutputShareError(f"expected a salt of {SALT_BYTES} bytes, got {len(self.salt)}")
        if not self.share or len(self.share) % WORD_BYTES:
            raise OutputShareError("expected a share of one or more words of 8 bytes")


def encrypt(
    output: OutputShare, recipient: X25519PublicKey, *, manifest_digest: str, site: str
) -> bytes:
    """Return the output share of `site`, encrypted for `recipient`."""
    return _SUITE.encrypt(output.salt + output.share, recipient, info=_info(manifest_digest, site))


def decrypt(
    ciphertext: bytes, private_key: X25519PrivateKey, *, manifest_digest: str, site: str
) -> OutputShare:
    """Return what `site` encrypted for the recipient whose key this is.

    *Raises* OutputShareError when it was not encrypted for this key, manifest and site.
    """
    try:
        plaintext = _SUITE.decrypt(ciphertext, private_key, info=_info(manifest_digest, site))
    except (InvalidTag, ValueError):
        raise OutputShareError(f"what {site} sent was not encrypted for this run") from None
    return OutputShare(plaintext[:SALT_BYTES], plaintext[SALT_BYTES:])


def _info(manifest_digest: str, site: str) -> bytes:
    return f"quorate/output-share/v1\n{manifest_digest}\n{site}".encode()
