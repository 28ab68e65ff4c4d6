"""Receipts: what a site verifies offline before it gives anything up."""

from dataclasses import replace

import pytest

from audit import checkpoint, merkle
from audit.checkpoint import Checkpoint
from audit.receipt import Receipt
from audit.signed_note import NoteError

LEAVES = [f"entry {index}".encode() for index in range(11)]
HASHES = [merkle.leaf_hash(leaf) for leaf in LEAVES]


@pytest.fixture
def receipt(log_key, witness_keys) -> Receipt:
    head = Checkpoint("portal.example/quorate-log", len(LEAVES), merkle.root_hash(HASHES))
    note = checkpoint.sign(head, log_key).with_signatures(
        *(
            checkpoint.cosign(head, witness_keys[name], witness=name, timestamp=1_790_000_000)
            for name in ("site-a", "site-b")
        )
    )
    return Receipt(7, merkle.inclusion_proof(HASHES, 7), note)


def test_a_receipt_is_read_back_and_shows_its_entry(receipt, log_verifier, witnesses):
    text = receipt.encode()
    assert text.startswith("c2sp.org/tlog-proof@v1\nindex 7\n")
    read = Receipt.parse(text)
    assert read == receipt
    head = read.verify(LEAVES[7], log=log_verifier, witnesses=witnesses, quorum=2)
    assert head.size == 11


def test_a_tree_of_one_entry_has_an_empty_proof(log_key, log_verifier):
    head = Checkpoint("portal.example/quorate-log", 1, HASHES[0])
    receipt = Receipt(0, (), checkpoint.sign(head, log_key))
    read = Receipt.parse(receipt.encode())
    assert read.verify(LEAVES[0], log=log_verifier, witnesses=(), quorum=0) == head


def test_an_entry_that_is_not_the_logged_one_is_refused(receipt, log_verifier, witnesses):
    trust = {"log": log_verifier, "witnesses": witnesses, "quorum": 2}
    with pytest.raises(merkle.ProofError):
        receipt.verify(LEAVES[6], **trust)
    with pytest.raises(merkle.ProofError):
        replace(receipt, index=6).verify(LEAVES[7], **trust)
    with pytest.raises(merkle.ProofError):
        replace(receipt, proof=receipt.proof[:-1]).verify(LEAVES[7], **trust)


def test_too_few_witnesses_are_refused(receipt, log_verifier, witnesses):
    with pytest.raises(NoteError, match="expected 3 cosignatures of known witnesses, got 2"):
        receipt.verify(LEAVES[7], log=log_verifier, witnesses=witnesses, quorum=3)
    with pytest.raises(NoteError, match="expected 2 cosignatures of known witnesses, got 1"):
        receipt.verify(LEAVES[7], log=log_verifier, witnesses=witnesses[1:], quorum=2)


def test_a_receipt_that_the_log_did_not_sign_is_refused(
    receipt, log_verifier, witness_keys, witnesses
):
    own = checkpoint.sign(Checkpoint.parse(receipt.note.text), witness_keys["site-a"])
    forged = replace(receipt, note=own.with_signatures(*receipt.note.signatures[1:]))
    with pytest.raises(NoteError, match=r"expected a signature by portal\.example"):
        forged.verify(LEAVES[7], log=log_verifier, witnesses=witnesses, quorum=2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("index 7", "index 07"),
        ("index 7", "index -7"),
        ("index 7", "index 11"),
        ("index 7", "extra AAAA\nindex 7"),
        ("index 7\n", ""),
        ("index 7\n", "index 7\n\n"),
        ("=\n", "\n"),
        ("— ", "- "),
    ],
)
def test_a_receipt_spelt_otherwise_is_refused(receipt, old, new):
    text = receipt.encode()
    assert old in text
    with pytest.raises(NoteError):
        Receipt.parse(text.replace(old, new, 1))
