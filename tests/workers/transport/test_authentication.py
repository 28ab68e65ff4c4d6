"""The header by which a party shows the relay which site it is."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from workers.transport.authentication import (
    VALID_SECONDS,
    CredentialCheck,
    CredentialError,
    authorization,
    parse_authorization,
    signed_bytes,
)

NOW = 1_763_856_000
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
STATED: dict[str, Any] = {
    "session": "00" * 16,
    "site": "north",
    "issued_at": NOW,
    "nonce": "ab" * 16,
}


def verify(check: CredentialCheck, now: float = NOW, **changes: Any) -> None:
    header = authorization(KEY.sign, **(STATED | changes))
    check.verify(parse_authorization(header), PUBLIC, now=now)


def test_the_signed_bytes_are_those_of_the_documentation() -> None:
    assert signed_bytes(**STATED) == (
        b"quorate/relay-auth/v1\n" + b"00" * 16 + b"\nnorth\n1763856000\n" + b"ab" * 16 + b"\n"
    )


def test_a_credential_is_accepted_once() -> None:
    check = CredentialCheck()
    verify(check)
    with pytest.raises(CredentialError, match="nonce"):
        verify(check)
    verify(check, nonce="cd" * 16)


@pytest.mark.parametrize("seconds", [VALID_SECONDS + 1, -VALID_SECONDS - 1])
def test_a_clock_that_is_off_is_refused_and_the_reason_named(seconds: int) -> None:
    verify(CredentialCheck(), now=NOW + VALID_SECONDS)
    verify(CredentialCheck(), now=NOW - VALID_SECONDS)
    with pytest.raises(CredentialError, match="clock"):
        verify(CredentialCheck(), now=NOW + seconds)


def test_a_nonce_cannot_be_used_again_while_its_credential_is_fresh() -> None:
    check = CredentialCheck()
    verify(check, now=NOW - VALID_SECONDS)
    for now in (NOW, NOW + VALID_SECONDS):
        verify(check, now=now, nonce=f"{now:032x}")  # lets the check forget what is stale
        with pytest.raises(CredentialError, match="nonce"):
            verify(check, now=now)


def test_strangers_cannot_make_the_check_remember_anything() -> None:
    check = CredentialCheck()
    credential = parse_authorization(authorization(Ed25519PrivateKey.generate().sign, **STATED))
    with pytest.raises(CredentialError, match="signature"):
        check.verify(credential, PUBLIC, now=NOW)
    verify(check)


@pytest.mark.parametrize("field", ["session", "site", "issued_at", "nonce"])
def test_every_field_is_signed(field: str) -> None:
    other = {"session": "11" * 16, "site": "south", "issued_at": NOW + 1, "nonce": "cd" * 16}
    signature = KEY.sign(signed_bytes(**STATED))
    header = authorization(lambda _: signature, **(STATED | {field: other[field]}))
    with pytest.raises(CredentialError, match="signature"):
        CredentialCheck().verify(parse_authorization(header), PUBLIC, now=NOW)


def token(**fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")


GOOD = STATED | {"signature": "00" * 64}


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer " + token(**GOOD),
        "Quorate-Party",
        "Quorate-Party !!!",
        "Quorate-Party " + base64.b64encode(b"no json").decode(),
        "Quorate-Party " + token(**STATED),
        "Quorate-Party " + token(**GOOD, more=1),
        "Quorate-Party " + token(**(GOOD | {"site": "north\n1"})),
        "Quorate-Party " + token(**(GOOD | {"site": ["north"]})),
        "Quorate-Party " + token(**(GOOD | {"issued_at": True})),
        "Quorate-Party " + token(**(GOOD | {"issued_at": 1.5})),
        "Quorate-Party " + token(**(GOOD | {"nonce": "AB" * 16})),
        "Quorate-Party " + token(**(GOOD | {"session": "00" * 15})),
        "Quorate-Party " + token(**(GOOD | {"signature": "00"})),
        "Quorate-Party " + "A" * 3000,
    ],
)
def test_what_is_not_a_credential_is_refused(header: str) -> None:
    assert parse_authorization("Quorate-Party " + token(**GOOD)).site == "north"
    with pytest.raises(CredentialError):
        parse_authorization(header)
