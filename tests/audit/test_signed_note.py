"""C2SP signed notes: a published example, and strict reading of everything else."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from audit.signed_note import (
    MAX_SIGNATURES,
    KeyType,
    NoteError,
    Signature,
    SignedNote,
    VerifierKey,
)

# The example in the documentation of Go's golang.org/x/mod/sumdb/note (BSD licence).
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
LINE = (
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
NOTE = f"{TEXT}\n{LINE}\n"


def test_the_published_note_verifies_under_the_published_key():
    note = SignedNote.parse(NOTE)
    key = VerifierKey.parse(VKEY)
    assert note.text == TEXT
    key.check(note.signature_by(key).payload, note.text.encode())


def test_we_would_have_written_the_published_note_byte_for_byte():
    seed = base64.b64decode(SKEY.split("+", 4)[4])[1:]
    key = Ed25519PrivateKey.from_private_bytes(seed)
    name = VerifierKey.of("PeterNeumann", KeyType.LOG, key)
    line = Signature(name.name, name.key_id, key.sign(TEXT.encode()))
    assert name.encode() == VKEY
    assert SignedNote(TEXT, (line,)).encode() == NOTE


def test_a_signature_over_another_text_does_not_verify():
    key = VerifierKey.parse(VKEY)
    signature = SignedNote.parse(NOTE).signature_by(key)
    with pytest.raises(NoteError, match="does not verify"):
        key.check(signature.payload, TEXT.replace("answer", "Answer").encode())


def test_text_may_contain_empty_lines():
    note = SignedNote.parse(f"one\n\ntwo\n\n{LINE}\n")
    assert note.text == "one\n\ntwo\n"


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}{LINE}\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "one more line\n",
        NOTE.replace("— ", "- "),
        NOTE.replace("— ", "—"),
        NOTE.replace("PeterNeumann ", "Peter Neumann "),
        NOTE.replace("PeterNeumann ", "Peter+Neumann "),
        NOTE.replace("PeterNeumann ", "Peter\u00a0Neumann "),
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("problem", "pro\tblem"),
        NOTE.replace("nAM=", "nAN="),
        NOTE.replace("nAM=", "nAM"),
        NOTE.replace("x08go/", "x08go_"),
        f"{TEXT}\n{LINE}\n{LINE}\n",
        f"{TEXT}\n— PeterNeumann x08gow==\n",
        "x" * 70_000 + f"\n\n{LINE}\n",
    ],
)
def test_a_malformed_note_is_refused(note):
    with pytest.raises(NoteError):
        SignedNote.parse(note)


def test_a_note_holds_as_many_signatures_as_there_may_be_witnesses():
    lines = tuple(Signature(f"site-{n}", bytes(4), b"signature") for n in range(MAX_SIGNATURES + 1))
    note = SignedNote(TEXT, lines[:-1])
    assert SignedNote.parse(note.encode()) == note
    with pytest.raises(NoteError, match="signature lines"):
        SignedNote(TEXT, lines)


def test_no_piece_of_a_verifier_key_is_a_verifier_key():
    for start in range(len(VKEY)):
        for end in range(start + 1, len(VKEY) + 1):
            if (start, end) != (0, len(VKEY)):
                with pytest.raises(NoteError):
                    VerifierKey.parse(VKEY[start:end])


@given(st.integers(0, len(VKEY) - 1), st.characters(exclude_categories=["Cs"]))
def test_a_verifier_key_with_one_character_changed_is_refused(at, character):
    changed = VKEY[:at] + character + VKEY[at + 1 :]
    if changed != VKEY:
        with pytest.raises(NoteError):
            VerifierKey.parse(changed)


@given(st.text(max_size=60))
def test_what_is_read_is_written_back(text):
    for form in (VerifierKey, Signature, SignedNote):
        try:
            value = form.parse(text)
        except NoteError:
            continue
        assert value.encode() == text


def test_the_same_key_has_another_id_for_each_type_and_name():
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    names = [VerifierKey.of(name, type_, key) for name in ("a", "b") for type_ in KeyType]
    assert len({name.key_id for name in names}) == 4
