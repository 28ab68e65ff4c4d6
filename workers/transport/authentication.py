"""How a party proves to the relay which site it is: one signed HTTP header per connection.

::

    Authorization: Quorate-Party <base64url, unpadded, of the JSON object>
    {"site": "north", "session": "<32 hex>", "issued_at": 1763856000,
     "nonce": "<32 hex>", "signature": "<128 hex>"}

The signature is Ed25519, by the site's identity, over ::

    quorate/relay-auth/v1\\n<session>\\n<site>\\n<issued_at>\\n<nonce>\\n

It proves presence to the relay and nothing to other parties: those trust session keys only.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SCHEME = "Quorate-Party"
VALID_SECONDS = 300
_DOMAIN = "quorate/relay-auth/v1"
_MAX_HEADER_CHARACTERS = 2048
_SITE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_HEX_16 = re.compile(r"[0-9a-f]{32}")
_HEX_64 = re.compile(r"[0-9a-f]{128}")


class CredentialError(Exception):
    """A credential is absent, malformed, stale, used before or not signed by the site."""


@dataclass(frozen=True)
class Credential:
    """What a party states about itself when it connects."""

    site: str
    session: str
    issued_at: int
    nonce: str
    signature: str

    def __post_init__(self) -> None:
        # Line breaks separate the signed fields: none may contain one.
        if not isinstance(self.site, str) or not _SITE.fullmatch(self.site):
            raise CredentialError("site: 1 to 200 printable characters were expected")
        if type(self.issued_at) is not int or not 0 <= self.issued_at < 1 << 53:
            raise CredentialError("issued_at: whole seconds since 1970 were expected")
        for name, pattern, value in (
            ("session", _HEX_16, self.session),
            ("nonce", _HEX_16, self.nonce),
            ("signature", _HEX_64, self.signature),
        ):
            if not isinstance(value, str) or not pattern.fullmatch(value):
                raise CredentialError(f"{name}: lower-case hexadecimal of fixed length expected")


def signed_bytes(*, session: str, site: str, issued_at: int, nonce: str) -> bytes:
    """What a site signs to authenticate one connection."""
    return f"{_DOMAIN}\n{session}\n{site}\n{issued_at}\n{nonce}\n".encode()


def authorization(
    sign: Callable[[bytes], bytes], *, session: str, site: str, issued_at: int, nonce: str
) -> str:
    """The value of the Authorization header for one connection.

    ``sign`` is the Ed25519 signature of the site's identity; ``nonce`` 16 fresh random bytes in
    hexadecimal, for the relay accepts each once.
    """
    signature = sign(signed_bytes(session=session, site=site, issued_at=issued_at, nonce=nonce))
    credential = Credential(site, session, issued_at, nonce, signature.hex())
    token = json.dumps(credential.__dict__, separators=(",", ":")).encode()
    return f"{SCHEME} {base64.urlsafe_b64encode(token).rstrip(b'=').decode('ascii')}"


def parse_authorization(value: str) -> Credential:
    """The credential in an Authorization header.

    *Raises* CredentialError for anything that :func:`authorization` does not write.
    """
    if len(value) > _MAX_HEADER_CHARACTERS:
        raise CredentialError(f"the header has more than {_MAX_HEADER_CHARACTERS} characters")
    scheme, _, token = value.partition(" ")
    if scheme != SCHEME:
        raise CredentialError(f"the authorization scheme {SCHEME} was expected")
    try:
        padded = token.encode("ascii") + b"=" * (-len(token) % 4)
        fields = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise CredentialError("the token is not base64url of JSON") from error
    if not isinstance(fields, dict) or fields.keys() != Credential.__dataclass_fields__.keys():
        raise CredentialError(
            "the token has other fields than site, session, issued_at, nonce, signature"
        )
    return Credential(**fields)


class CredentialCheck:
    """Decides whether a credential is fresh, unused and signed by the site; remembers nonces.

    A nonce is remembered only after its signature has verified, and only while its credential
    would still be fresh: strangers cannot make the memory grow.
    """

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], int] = {}

    def verify(self, credential: Credential, public_key: bytes, *, now: float) -> None:
        """Accept a credential once.

        *Raises* CredentialError saying which condition failed.
        """
        if abs(now - credential.issued_at) > VALID_SECONDS:
            raise CredentialError(
                f"issued_at is {now - credential.issued_at:.0f} s from the relay's clock; at most "
                f"{VALID_SECONDS} s are allowed: set the site's clock"
            )
        message = signed_bytes(
            session=credential.session,
            site=credential.site,
            issued_at=credential.issued_at,
            nonce=credential.nonce,
        )
        try:
            key = Ed25519PublicKey.from_public_bytes(public_key)
            key.verify(bytes.fromhex(credential.signature), message)
        except (InvalidSignature, ValueError) as error:
            raise CredentialError("the signature is not by the site's registered key") from error
        self._used = {use: expiry for use, expiry in self._used.items() if expiry >= now}
        use = (credential.site, credential.nonce)
        if use in self._used:
            raise CredentialError("the nonce was used before: a fresh one per connection expected")
        self._used[use] = credential.issued_at + VALID_SECONDS
