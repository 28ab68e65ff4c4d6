"""Signed tree heads of the stored log, proofs from it, and what witnesses say about it.

Reached through `audit.log`. Before the log signs, the whole tree is computed again from the
entries' bytes, not from stored hashes: one flipped bit that gets signed ends a log for good, as
Certificate Transparency's Yeti 2022 showed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from audit import checkpoint as tree_head
from audit import merkle, models
from audit.entry import GENESIS, Entry, EntryError
from audit.receipt import Receipt
from audit.serial import serialise
from audit.signed_note import KeyType, NoteError, Signature, SignedNote, VerifierKey


class LogInconsistentError(RuntimeError):
    """What is stored is not what was signed before: nothing is signed until people have looked.

    Run `manage.py verify_audit_log` to see which row differs.
    """


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A checkpoint of the log, and the note by which the log signed it."""

    origin: str
    size: int
    root: bytes
    note: str


def publish_checkpoint(*, key: Ed25519PrivateKey, origin: str) -> PublishedCheckpoint:
    """Sign a checkpoint over all entries, store it and return it; or return the one there is.

    Two processes that sign at once get the same checkpoint: one waits for the other.

    *Cost*: reads and hashes every entry, and parses the new ones; appends wait meanwhile.
    *Raises* LogInconsistentError when the stored entries are not a continuation of what this log
    signed before; NoteError when an earlier checkpoint is of another origin or key.
    """
    with transaction.atomic():
        serialise()
        earlier = latest_checkpoint()
        verifier = VerifierKey.of(origin, KeyType.LOG, key)
        if earlier:
            tree_head.verify(SignedNote.parse(earlier.note), verifier)
        # A cursor left open here would fail the caller's transaction on PostgreSQL.
        with closing(_stored_leaves()) as leaves:
            tree = _recomputed_tree(map(bytes, leaves), earlier)
        if earlier and earlier.size == tree.size:
            return earlier
        head = tree_head.Checkpoint(origin, tree.size, tree.root())
        note = tree_head.sign(head, key).encode()
        models.Checkpoint(size=head.size, root=head.root.hex(), note=note).save()
        return PublishedCheckpoint(origin, head.size, head.root, note)


def latest_checkpoint() -> PublishedCheckpoint | None:
    """Return the largest checkpoint, or None before the first one."""
    row = models.Checkpoint.objects.order_by("-size").first()
    return _published(row) if row else None


def checkpoint_at(size: int, *, witnesses: Sequence[VerifierKey] = ()) -> PublishedCheckpoint:
    """Return the checkpoint of `size`, its note with the newest cosignature of each of `witnesses`.

    *Raises* LookupError when no checkpoint has that size.
    """
    published = _published(_row(size))
    note = SignedNote.parse(published.note)
    lines = _cosignatures(published, witnesses)
    note = note.with_signatures(*(lines[name] for name in sorted(lines)))
    return PublishedCheckpoint(published.origin, size, published.root, note.encode())


def inclusion(index: int, size: int) -> merkle.Proof:
    """Return the proof that entry `index` is in the tree of the first `size` entries."""
    return merkle.inclusion_proof(_leaf_hashes(size), index)


def consistency(old_size: int, new_size: int) -> merkle.Proof:
    """Return the proof that the tree of `old_size` entries is the beginning of `new_size`."""
    return merkle.consistency_proof(_leaf_hashes(new_size), old_size)


def receipt(index: int, *, witnesses: Sequence[VerifierKey] = (), size: int | None = None) -> str:
    """Return the receipt of entry `index`: a tlog-proof that anyone can verify offline.

    It stands under the checkpoint of `size`, or under the latest one.

    *Raises* LookupError when no checkpoint covers the entry yet.
    """
    latest = latest_checkpoint()
    if size is None:
        size = latest.size if latest else 0
    if not 0 <= index < size:
        raise LookupError(f"expected an entry that a checkpoint covers (below {size}), got {index}")
    note = SignedNote.parse(checkpoint_at(size, witnesses=witnesses).note)
    return Receipt(index, inclusion(index, size), note).encode()


def add_cosignature(size: int, line: str, *, witnesses: Iterable[VerifierKey]) -> int:
    """Store the cosignature `line` over the checkpoint of `size`; return its time.

    The same line twice is stored once.

    *Units*: the time in seconds since 1970.
    *Raises* NoteError when it is not a valid cosignature by one of `witnesses`; LookupError when
    no checkpoint has that size.
    """
    row = _row(size)
    signature = Signature.parse(line)
    key = next((key for key in witnesses if signature.is_by(key)), None)
    if key is None:
        raise NoteError(f"expected a cosignature by a known witness, got one by {signature.name}")
    head = tree_head.Checkpoint.parse(SignedNote.parse(row.note).text)
    timestamp = tree_head.verify_cosignature(head, signature, key)
    with transaction.atomic():
        serialise()
        if not models.Cosignature.objects.filter(checkpoint=row, line=line).exists():
            models.Cosignature(
                checkpoint=row, witness=key.name, line=line, timestamp=timestamp
            ).save()
    return timestamp


def cosigned(size: int, quorum: int, witnesses: Sequence[VerifierKey]) -> bool:
    """Tell whether at least `quorum` of `witnesses` cosigned the checkpoint of `size`.

    The stored lines are verified again: a row is an index to the evidence, not the evidence.

    *Raises* LookupError when no checkpoint has that size; NoteError when witnesses share a key.
    """
    note = SignedNote.parse(checkpoint_at(size, witnesses=witnesses).note)
    return len(tree_head.cosigners(note, tuple(witnesses))) >= quorum


def _stored_leaves() -> Generator[Any, None, None]:
    rows = models.Entry.objects.order_by("index").values_list("leaf", flat=True)
    yield from rows.iterator()


def _recomputed_tree(leaves: Iterator[bytes], earlier: PublishedCheckpoint | None) -> merkle.Tree:
    """Return the tree over the entries' bytes, checked against what was signed before.

    Of the entries that `earlier` covers the root says that every byte is as it was; those after
    it are read one by one.
    """
    tree, last = merkle.Tree(), b""
    for last in islice(leaves, earlier.size if earlier else 0):
        tree.add(merkle.leaf_hash(last))
    if earlier and (tree.size, tree.root()) != (earlier.size, earlier.root):
        raise LogInconsistentError(
            f"the stored entries do not begin with the {earlier.size} that the latest checkpoint "
            "signed"
        )
    previous = Entry.parse(last).chain_hash if last else GENESIS
    for leaf in leaves:
        try:
            entry = Entry.parse(leaf)
        except EntryError as error:
            raise LogInconsistentError(f"entry {tree.size} cannot be read: {error}") from None
        if entry.index != tree.size or entry.previous != previous:
            raise LogInconsistentError(f"entry {tree.size} does not follow the one before it")
        tree.add(entry.leaf_hash)
        previous = entry.chain_hash
    return tree


def _cosignatures(
    published: PublishedCheckpoint, witnesses: Iterable[VerifierKey]
) -> dict[str, Signature]:
    """Return the newest stored line of each of `witnesses` under one checkpoint."""
    rows = models.Cosignature.objects.filter(checkpoint=published.size).order_by("timestamp")
    lines = [Signature.parse(line) for line in rows.values_list("line", flat=True)]
    return {key.name: line for key in witnesses for line in lines if line.is_by(key)}


def _leaf_hashes(size: int) -> list[bytes]:
    rows = models.Entry.objects.filter(index__lt=size).order_by("index")
    hashes = [bytes.fromhex(text) for text in rows.values_list("leaf_hash", flat=True)]
    if len(hashes) != size:
        raise LookupError(f"expected a size up to {len(hashes)}, got {size}")
    return hashes


def _row(size: int) -> models.Checkpoint:
    row: models.Checkpoint | None = models.Checkpoint.objects.filter(size=size).first()
    if row is None:
        raise LookupError(f"expected the size of a published checkpoint, got {size}")
    return row


def _published(row: models.Checkpoint) -> PublishedCheckpoint:
    head = tree_head.Checkpoint.parse(SignedNote.parse(row.note).text)
    return PublishedCheckpoint(head.origin, head.size, head.root, row.note)
