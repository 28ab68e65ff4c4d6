"""Checkpoints and cosignatures, also as OpenSSL sees them."""

import base64
import subprocess
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit import checkpoint
from audit.checkpoint import Checkpoint
from audit.signed_note import KeyType, NoteError, Signature, SignedNote, VerifierKey

ORIGIN = "portal.example/quorate-log"
HEAD = Checkpoint(ORIGIN, 20852163, bytes(range(32)))
TEXT = f"{ORIGIN}\n20852163\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
TIME = 1_679_315_147


def accepted_by_openssl(tmp_path, key: Ed25519PrivateKey, signature: bytes, message: bytes) -> bool:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for name, data in {"key": public, "signature": signature, "message": message}.items():
        (tmp_path / name).write_bytes(data)
    command = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key -sigfile signature"
    command = [*command.split(), "-in", "message"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0


def test_the_text_is_three_lines():
    assert HEAD.encode() == TEXT
    assert Checkpoint.parse(TEXT) == HEAD
    assert Checkpoint.parse(TEXT.replace("20852163", "0")).size == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT + "extension\n",
        TEXT + "\n",
        "\n" + TEXT,
        TEXT.replace("20852163", "020852163"),
        TEXT.replace("20852163", "+20852163"),
        TEXT.replace("20852163", "-1"),
        TEXT.replace("20852163", " 20852163"),
        TEXT.replace("20852163", "٣"),
        TEXT.replace("20852163", "9223372036854775808"),
        TEXT.replace("20852163", "99999999999999999999999"),
        TEXT.replace("Hh8=", "Hh8"),
        TEXT.replace("Hh8=", "Hh9="),
        TEXT.replace("Hh8=", "HhwA"),
        TEXT.replace("Hh8=", ""),
        TEXT.replace(ORIGIN, "two words"),
        TEXT.replace(ORIGIN, "a+b"),
        TEXT.replace("\n", "\r\n"),
    ],
)
def test_any_other_text_is_refused(text):
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


def test_what_the_log_signs_verifies_under_its_key_and_by_openssl(tmp_path, log_key, log_verifier):
    note = checkpoint.sign(HEAD, log_key)
    assert checkpoint.verify(SignedNote.parse(note.encode()), log_verifier) == HEAD
    payload = base64.b64decode(note.encode().splitlines()[-1].split(" ")[2])[4:]
    assert accepted_by_openssl(tmp_path, log_key, payload, TEXT.encode())
    assert not accepted_by_openssl(tmp_path, log_key, payload, TEXT.replace("3\n", "4\n").encode())


def test_a_witness_signs_time_and_text_as_the_specification_says(tmp_path, witness_keys, witnesses):
    key, name = witness_keys["site-a"], witnesses[0]
    line = checkpoint.cosign(HEAD, key, witness="site-a", timestamp=TIME)
    assert checkpoint.verify_cosignature(HEAD, Signature.parse(line.encode()), name) == TIME
    material = base64.b64decode(line.encode().split(" ")[2])
    assert material[:4] == name.key_id
    assert material[4:12] == TIME.to_bytes(8, "big")
    message = f"cosignature/v1\ntime {TIME}\n{TEXT}".encode()
    assert accepted_by_openssl(tmp_path, key, material[12:], message)


def test_a_note_altered_in_any_line_does_not_verify(log_key, log_verifier):
    note = checkpoint.sign(HEAD, log_key)
    for altered in (
        replace(HEAD, size=HEAD.size + 1),
        replace(HEAD, root=bytes(32)),
        replace(HEAD, origin="portal.example/other-log"),
    ):
        with pytest.raises(NoteError, match="does not verify"):
            checkpoint.verify(replace(note, text=altered.encode()), log_verifier)


def test_a_checkpoint_of_another_log_is_refused_though_its_key_is_known(log_key, log_verifier):
    other = replace(HEAD, origin="portal.example/other-log").encode()
    signature = Signature(log_verifier.name, log_verifier.key_id, log_key.sign(other.encode()))
    with pytest.raises(NoteError, match="expected a checkpoint of"):
        checkpoint.verify(SignedNote(other, (signature,)), log_verifier)


def test_another_key_under_the_logs_name_is_refused(log_verifier, witness_keys):
    impostor = witness_keys["site-a"]
    with pytest.raises(NoteError, match="got none"):
        checkpoint.verify(checkpoint.sign(HEAD, impostor), log_verifier)
    claimed = Signature(ORIGIN, log_verifier.key_id, impostor.sign(TEXT.encode()))
    with pytest.raises(NoteError, match="does not verify"):
        checkpoint.verify(SignedNote(TEXT, (claimed,)), log_verifier)


def test_a_cosignature_says_nothing_about_another_time_tree_or_witness(witness_keys, witnesses):
    line = checkpoint.cosign(HEAD, witness_keys["site-a"], witness="site-a", timestamp=TIME)
    later = (TIME + 1).to_bytes(8, "big") + line.payload[8:]
    refused = [
        (HEAD, replace(line, payload=later), witnesses[0]),
        (HEAD, replace(line, payload=line.payload[8:]), witnesses[0]),
        (HEAD, replace(line, payload=line.payload + b"\0"), witnesses[0]),
        (replace(HEAD, size=1), line, witnesses[0]),
        (HEAD, line, witnesses[1]),
        (HEAD, replace(line, name="site-z"), witnesses[0]),
        (HEAD, replace(line, key_id=bytes(4)), witnesses[0]),
        (HEAD, replace(line, name="site-b", key_id=witnesses[1].key_id), witnesses[1]),
    ]
    for head, claim, key in refused:
        with pytest.raises(NoteError):
            checkpoint.verify_cosignature(head, claim, key)


def test_a_signature_of_one_kind_does_not_pass_for_the_other(log_key, log_verifier):
    witness = VerifierKey.of(ORIGIN, KeyType.COSIGNATURE, log_key)
    line = checkpoint.cosign(HEAD, log_key, witness=ORIGIN, timestamp=TIME)
    with pytest.raises(NoteError):
        checkpoint.verify(SignedNote(TEXT, (line,)), log_verifier)
    with pytest.raises(NoteError, match="type 0x01"):
        checkpoint.verify(SignedNote(TEXT, (line,)), witness)
    with pytest.raises(NoteError, match="type 0x04"):
        checkpoint.verify_cosignature(HEAD, line, log_verifier)


@pytest.mark.parametrize("timestamp", [0, -1, 2**63])
def test_an_impossible_time_is_neither_signed_nor_believed(timestamp, witness_keys, witnesses):
    key = witness_keys["site-a"]
    with pytest.raises(NoteError, match="timestamp"):
        checkpoint.cosign(HEAD, key, witness="site-a", timestamp=timestamp)
    if timestamp >= 0:
        signature = key.sign(f"cosignature/v1\ntime {timestamp}\n{TEXT}".encode())
        payload = timestamp.to_bytes(8, "big") + signature
        line = Signature("site-a", witnesses[0].key_id, payload)
        with pytest.raises(NoteError, match="timestamp"):
            checkpoint.verify_cosignature(HEAD, line, witnesses[0])


class TestCosigners:
    def note(self, log_key, witness_keys, *names):
        lines = [
            checkpoint.cosign(HEAD, witness_keys[name], witness=name, timestamp=TIME)
            for name in names
        ]
        return checkpoint.sign(HEAD, log_key).with_signatures(*lines)

    def test_are_those_known_witnesses_who_signed(self, log_key, witness_keys, witnesses):
        note = self.note(log_key, witness_keys, "site-a", "site-c")
        assert checkpoint.cosigners(note, witnesses) == {"site-a", "site-c"}
        assert checkpoint.cosigners(note, witnesses[1:]) == {"site-c"}
        assert checkpoint.cosigners(note, ()) == frozenset()

    def test_a_false_line_of_a_known_witness_spoils_the_note(
        self, log_key, witness_keys, witnesses
    ):
        note = self.note(log_key, witness_keys, "site-a")
        false = replace(note.signatures[1], payload=bytes(72 - 8) + bytes([1]) * 8)
        with pytest.raises(NoteError):
            checkpoint.cosigners(replace(note, signatures=(note.signatures[0], false)), witnesses)

    def test_one_witness_cannot_count_twice(self, log_key, witness_keys, witnesses):
        twin = VerifierKey("site-twin", KeyType.COSIGNATURE, witnesses[0].public_key)
        note = self.note(log_key, witness_keys, "site-a")
        with pytest.raises(NoteError, match="its own public key"):
            checkpoint.cosigners(note, (*witnesses, twin))
        renamed = VerifierKey("site-a", KeyType.COSIGNATURE, witnesses[1].public_key)
        with pytest.raises(NoteError, match="its own name"):
            checkpoint.cosigners(note, (witnesses[0], renamed))
