"""Statements: one spelling each, signatures over kind and body, passkeys that prove presence."""

import copy
import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from audit import canonical
from governance.errors import StatementError
from governance.statements.envelope import (
    Envelope,
    Kind,
    add_ed25519,
    add_signature,
    pae,
    sign_ed25519,
    signer_keys,
    unsigned,
    verify,
)
from governance.statements.keys import Key, RelyingParty, from_base64, from_base64url, to_base64
from governance.statements.signatures import Signature
from tests.factories.authenticator import USER_PRESENT, USER_VERIFIED, Authenticator
from tests.factories.evidence import signing_key

VECTORS = sorted((Path(__file__).parents[2] / "vectors" / "statements").glob("*.json"))
PORTAL = RelyingParty("localhost", ("http://localhost:8000",))
ALICE = signing_key("alice")
ALICE_KEY = Key.ed25519(ALICE.public_key().public_bytes_raw())

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
kinds = st.sampled_from(Kind)
payloads = st.dictionaries(st.text(), json_values, max_size=5)


def consent(**changes):
    return sign_ed25519(Kind.CONSENT, {"type": "consent", "site": "alder", **changes}, ALICE)


def reference_pae(payload_type: str, body: bytes) -> bytes:
    """PAE written anew from the text of the DSSE protocol."""
    parts = []
    for part in (payload_type.encode("utf-8"), body):
        parts += [str(len(part)).encode("ascii"), part]
    return b" ".join([b"DSSEv1", *parts])


def test_the_reference_encoding_gives_the_example_of_the_dsse_protocol():
    encoded = reference_pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(kinds, st.binary())
def test_pre_authentication_encoding_is_that_of_dsse(kind, body):
    assert pae(kind, body) == reference_pae(f"application/vnd.quorate.{kind}.v1+json", body)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vectors_hold_when_checked_without_our_code(path):
    vector = json.loads(path.read_text("utf-8"))
    envelope = vector["envelope"]
    body = from_base64(envelope["payload"])
    encoded = reference_pae(envelope["payloadType"], body)
    assert body.decode() == vector["body"]
    assert hashlib.sha256(body).hexdigest() == vector["digest"]
    assert encoded.hex() == vector["pae"]
    assert hashlib.sha256(encoded).hexdigest() == vector["challenge"]
    for signature, key in zip(envelope["signatures"], vector["keys"], strict=True):
        if key["kind"] == "ed25519":
            public_key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["public_key"]))
            public_key.verify(from_base64(signature["sig"]), encoded)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vectors_parse_verify_and_come_back_unchanged(path):
    vector = json.loads(path.read_text("utf-8"))
    envelope = Envelope.parse(vector["envelope"])
    assert envelope.to_json() == vector["envelope"]
    assert (envelope.digest, envelope.pae().hex()) == (vector["digest"], vector["pae"])
    for key in vector["keys"]:
        verify(envelope, Key.parse(key), PORTAL)


def test_there_are_vectors_for_both_kinds_of_key():
    signed = {key["kind"] for path in VECTORS for key in json.loads(path.read_text())["keys"]}
    assert signed == {"ed25519", "webauthn"}


@given(kinds, payloads)
def test_an_envelope_comes_back_from_json_as_it_was(kind, payload):
    envelope = sign_ed25519(kind, {**payload, "type": kind.value}, ALICE)
    assert Envelope.parse(json.loads(json.dumps(envelope.to_json()))) == envelope
    verify(envelope, ALICE_KEY)


@given(st.data())
def test_no_bit_of_a_signed_body_can_change(data):
    envelope = consent()
    position = data.draw(st.integers(0, len(envelope.body) * 8 - 1))
    body = bytearray(envelope.body)
    body[position // 8] ^= 1 << (position % 8)
    altered = {**envelope.to_json(), "payload": to_base64(bytes(body))}
    with pytest.raises(StatementError) as refused:
        verify(Envelope.parse(altered), ALICE_KEY)
    assert refused.value.code in ("statement_malformed", "signature_invalid")


def test_a_signature_does_not_pass_from_one_kind_to_another():
    moved = dataclasses.replace(consent(), kind=Kind.STUDY_APPROVAL)
    with pytest.raises(StatementError, match="does not verify"):
        verify(moved, ALICE_KEY)
    with pytest.raises(StatementError, match="expected a payload whose type is study-approval"):
        Envelope.parse(moved.to_json())


def spoil(change):
    value = copy.deepcopy(consent().to_json())
    change(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(spoil(lambda v: v.update(extra=1)), id="a field too many"),
        pytest.param(spoil(lambda v: v.pop("signatures")), id="a field too few"),
        pytest.param(spoil(lambda v: v.update(payloadType="text/plain")), id="another type"),
        pytest.param(
            spoil(lambda v: v.update(payloadType=v["payloadType"] + "\n")), id="a newline after it"
        ),
        pytest.param(spoil(lambda v: v.update(payload=v["payload"][:-1])), id="base64 unpadded"),
        pytest.param(spoil(lambda v: v.update(payload="\n" + v["payload"])), id="white space"),
        pytest.param(
            spoil(lambda v: v.update(payload=to_base64(b'{"type": "consent"}'))),
            id="not canonical",
        ),
        pytest.param(spoil(lambda v: v.update(payload=to_base64(b"[]"))), id="not an object"),
        pytest.param(spoil(lambda v: v.update(payload=to_base64(b'{"type":1}'))), id="type 1"),
        pytest.param(
            spoil(lambda v: v["signatures"].append(v["signatures"][0])), id="one key twice"
        ),
        pytest.param(spoil(lambda v: v["signatures"][0].update(keyid="alice")), id="an odd key id"),
        pytest.param(
            spoil(lambda v: v["signatures"][0].update(keyid="webauthn:AAAA")),
            id="a passkey's id without its data",
        ),
        pytest.param(
            spoil(lambda v: v["signatures"][0].update(sig="!!!!")), id="a signature not base64"
        ),
        pytest.param([], id="a list"),
        pytest.param("", id="text"),
    ],
)
def test_there_is_one_way_to_write_an_envelope(value):
    with pytest.raises(StatementError) as refused:
        Envelope.parse(value)
    assert refused.value.code == "statement_malformed"


def test_a_float_cannot_be_stated():
    with pytest.raises(StatementError, match="floating-point"):
        unsigned(Kind.CONSENT, {"type": "consent", "epsilon": 0.5})


def test_several_people_sign_one_statement():
    bob = signing_key("bob")
    envelope = add_ed25519(add_ed25519(consent(), bob), bob)
    bob_key = Key.ed25519(bob.public_key().public_bytes_raw())
    assert signer_keys(envelope) == (ALICE_KEY.id, bob_key.id)
    verify(envelope, ALICE_KEY)
    verify(envelope, bob_key)


def test_a_missing_signature_and_a_wrong_one_are_told_apart():
    mallory = Key.ed25519(signing_key("mallory").public_key().public_bytes_raw())
    with pytest.raises(StatementError) as missing:
        verify(consent(), mallory)
    forged = dataclasses.replace(consent().signatures[0], keyid=mallory.id)
    with pytest.raises(StatementError) as invalid:
        verify(add_signature(consent(), forged), mallory)
    assert (missing.value.code, invalid.value.code) == ("signature_missing", "signature_invalid")


@pytest.mark.parametrize(
    "value",
    [
        {**ALICE_KEY.to_json(), "id": "ed25519:" + "0" * 64},
        {**ALICE_KEY.to_json(), "public_key": ALICE_KEY.public_key.upper()},
        {**ALICE_KEY.to_json(), "public_key": "00" * 31},
        {**Authenticator().key.to_json(), "public_key": "A" * 60},
        {**Authenticator().key.to_json(), "kind": "ed25519"},
    ],
)
def test_a_key_is_named_by_what_it_is(value):
    with pytest.raises(StatementError):
        Key.parse(value)


@given(st.binary(max_size=70))
def test_keys_and_base64_come_back_as_they_were(data):
    assert from_base64(to_base64(data)) == data
    for key in (ALICE_KEY, Authenticator().key):
        assert Key.parse(key.to_json()) == key


@pytest.mark.parametrize("written", ["QUI", "QUJ=", "QUI=\n", "QU I="])
def test_base64_has_one_spelling(written):
    with pytest.raises(ValueError, match="base64"):
        from_base64(written)
    with pytest.raises(ValueError, match="base64url"):
        from_base64url(written + "=")


class TestPasskeys:
    """What a passkey signs counts only as itself, here, with the person verified."""

    def signed(self, authenticator=None, **lies):
        authenticator = authenticator or Authenticator()
        envelope = unsigned(Kind.CONSENT, {"type": "consent", "site": "alder"})
        answer = authenticator.assertion(**{"challenge": envelope.challenge(), **lies})
        return add_signature(envelope, Signature.of_credential(answer))

    def test_a_passkey_signs_the_hash_of_what_an_ed25519_key_signs(self):
        envelope = self.signed()
        assert envelope.challenge() == hashlib.sha256(envelope.pae()).digest()
        verify(envelope, Authenticator().key, PORTAL)
        assert Envelope.parse(envelope.to_json()) == envelope

    @pytest.mark.parametrize(
        ("lies", "reason"),
        [
            ({"origin": "https://evil.example"}, "origin"),
            ({"origin": "http://localhost:8001"}, "origin"),
            ({"kind": "webauthn.create"}, "client data type"),
            ({"challenge": b"another challenge"}, "challenge"),
            ({"flags": USER_PRESENT}, "user was not verified"),
            ({"flags": USER_VERIFIED}, "not present"),
            ({"crossOrigin": True}, "another origin's page"),
        ],
    )
    def test_an_assertion_made_otherwise_is_refused(self, lies, reason):
        with pytest.raises(StatementError, match=reason) as refused:
            verify(self.signed(**lies), Authenticator().key, PORTAL)
        assert refused.value.code == "signature_invalid"

    def test_an_assertion_for_another_relying_party_is_refused(self):
        with pytest.raises(StatementError, match="RP ID"):
            verify(self.signed(Authenticator(rp_id="evil.example")), Authenticator().key, PORTAL)

    def test_an_assertion_over_another_statement_is_refused(self):
        other = dataclasses.replace(
            self.signed(), body=canonical.dumps({"type": "consent", "site": "birch"})
        )
        with pytest.raises(StatementError, match="challenge"):
            verify(other, Authenticator().key, PORTAL)

    @pytest.mark.parametrize("part", ["sig", "authenticator_data"])
    def test_an_altered_assertion_is_refused(self, part):
        envelope = self.signed()
        signature = envelope.signatures[0]
        if part == "sig":
            altered = bytearray(signature.sig)
            altered[-1] ^= 1
            spoiled = dataclasses.replace(signature, sig=bytes(altered))
        else:
            # The signature counter, which nothing but the signature covers.
            altered = bytearray(signature.webauthn.authenticator_data)
            altered[-1] ^= 2
            assertion = dataclasses.replace(signature.webauthn, authenticator_data=bytes(altered))
            spoiled = dataclasses.replace(signature, webauthn=assertion)
        with pytest.raises(StatementError, match="Could not verify"):
            verify(add_signature(envelope, spoiled), Authenticator().key, PORTAL)

    def test_another_credential_cannot_stand_in(self):
        other = Authenticator("other")
        claimed = dataclasses.replace(
            self.signed(other).signatures[0], keyid=Authenticator().key.id
        )
        envelope = add_signature(
            unsigned(Kind.CONSENT, {"type": "consent", "site": "alder"}), claimed
        )
        with pytest.raises(StatementError) as refused:
            verify(envelope, Authenticator().key, PORTAL)
        assert refused.value.code == "signature_invalid"

    def test_without_a_relying_party_no_passkey_counts(self):
        with pytest.raises(StatementError, match="people of the roster"):
            verify(self.signed(), Authenticator().key)

    @pytest.mark.parametrize(
        "answer",
        [{}, {"id": "A"}, {"id": "AA", "response": {"signature": "!"}}, {"response": None}],
    )
    def test_what_is_no_assertion_is_refused(self, answer):
        with pytest.raises(StatementError, match="not a passkey assertion"):
            Signature.of_credential(answer)
