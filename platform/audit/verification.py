"""Check a whole log against what was signed about it, and name what differs.

Pure: the same checks run over the database (`manage.py verify_audit_log`) and over an exported
bundle on a machine that has neither Django nor network (`python -m audit.verify`).

What can be found, and how exactly. A row whose bytes and hashes do not fit together, a missing,
added or moved row, and columns that say something else than the entry: the row is named. A forger
who writes the log's end anew, with all hashes fitting: the checkpoint that no longer fits is
named, and between which two checkpoints the change lies. Entries that no checkpoint covers, and
checkpoints that no one else has kept, can vanish without a trace; so checkpoints are published
often, witnesses remember them, and an auditor passes those of earlier visits as `kept`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit import checkpoint as tree_head
from audit import merkle
from audit.entry import GENESIS, Entry, EntryError
from audit.findings import Difference, Report
from audit.signed_note import NoteError, Signature, SignedNote, VerifierKey


@dataclass(frozen=True)
class StoredEntry:
    """An entry as found. `columns` is what is stored beside the leaf; empty in a bundle."""

    index: int
    leaf: bytes
    chain_hash: str
    columns: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint as found: its note with the log's signature, and the witnesses' lines."""

    note: str
    cosignatures: tuple[str, ...]
    size: int
    root: str


@dataclass(frozen=True)
class Trust:
    """Whom the verifier believes; never taken from what is being verified."""

    log: VerifierKey
    witnesses: tuple[VerifierKey, ...] = ()
    # How many of them must have cosigned the latest checkpoint.
    quorum: int = 0
    # Notes that the verifier kept from earlier visits or got from a witness.
    kept: tuple[str, ...] = ()


def verify(
    entries: Iterable[StoredEntry], checkpoints: Sequence[StoredCheckpoint], trust: Trust
) -> Report:
    """Return what is found on checking `entries` and `checkpoints`, both in ascending order.

    *Cost*: one pass; two hashes for each entry and one signature for each line.
    """
    heads, cosignatures, unknown, differences = _check_heads(checkpoints, trust)
    covered = max((head.size for _, head in heads), default=0)
    tree, found = _check_entries(entries, heads)
    return Report(
        size=tree.size,
        root=tree.root(),
        checkpoints=len(checkpoints),
        cosignatures=cosignatures,
        unknown_cosignatures=unknown,
        covered=covered,
        differences=(*differences, *found),
    )


_Heads = list[tuple[str, tree_head.Checkpoint]]


def _check_heads(
    checkpoints: Sequence[StoredCheckpoint], trust: Trust
) -> tuple[_Heads, int, int, list[Difference]]:
    """Return the signed heads to compare the tree with, and what is wrong with the others."""
    heads: _Heads = []
    differences = []
    cosignatures = unknown = cosigners_of_last = 0
    for stored in checkpoints:
        where = f"checkpoint {stored.size}"
        try:
            note = SignedNote.parse(stored.note)
            head = tree_head.verify(note, trust.log)
            if (head.size, head.root.hex()) != (stored.size, stored.root):
                raise NoteError("its row says something else than its signed note")
        except NoteError as error:
            differences.append(Difference(where, str(error)))
            continue
        heads.append((where, head))
        by, others, found = _check_cosignatures(where, head, stored.cosignatures, trust)
        cosignatures, unknown = cosignatures + len(by), unknown + others
        cosigners_of_last = len(set(by))
        differences += found
    if cosigners_of_last < trust.quorum:
        problem = f"expected {trust.quorum} cosignatures of witnesses, got {cosigners_of_last}"
        differences.append(Difference("latest checkpoint", problem))
    for kept in trust.kept:
        try:
            head = tree_head.verify(SignedNote.parse(kept), trust.log)
            heads.append((f"kept checkpoint {head.size}", head))
        except NoteError as error:
            differences.append(Difference("kept checkpoint", str(error)))
    return heads, cosignatures, unknown, differences


def _check_cosignatures(
    where: str, head: tree_head.Checkpoint, lines: Sequence[str], trust: Trust
) -> tuple[list[str], int, list[Difference]]:
    """Return the names of the witnesses whose lines verify, the unknown ones, and the bad ones."""
    by, unknown, differences = [], 0, []
    for line in lines:
        try:
            signature = Signature.parse(line)
            key = next((key for key in trust.witnesses if signature.is_by(key)), None)
            if key is None:
                unknown += 1
                continue
            tree_head.verify_cosignature(head, signature, key)
            by.append(key.name)
        except NoteError as error:
            differences.append(Difference(f"cosignature under {where}", str(error)))
    return by, unknown, differences


def _check_entries(
    entries: Iterable[StoredEntry], heads: _Heads
) -> tuple[merkle.Tree, list[Difference]]:
    """Return the tree over the entries' bytes, and where entries and heads disagree."""
    roots: dict[int, bytes] = {0: merkle.EMPTY_ROOT}
    sizes = {head.size for _, head in heads}
    tree, previous, expected, differences = merkle.Tree(), GENESIS, 0, []
    for stored in entries:
        if stored.index != expected:
            missing = f"expected entry {expected} here, got entry {stored.index}"
            differences.append(Difference(f"entry {expected}", missing))
        differences += _check_entry(stored, previous)
        # What the row claims: a difference is then reported where it arises, and only there.
        previous = _bytes_of(stored.chain_hash)
        expected = stored.index + 1
        tree.add(merkle.leaf_hash(stored.leaf))
        if tree.size in sizes:
            roots[tree.size] = tree.root()
    return tree, differences + _compare_roots(tree.size, roots, heads)


def _check_entry(stored: StoredEntry, previous: bytes) -> Iterator[Difference]:
    where = f"entry {stored.index}"
    try:
        entry = Entry.parse(stored.leaf)
    except EntryError as error:
        yield Difference(where, str(error))
        return
    if entry.index != stored.index:
        yield Difference(where, f"its bytes are those of entry {entry.index}")
    if entry.chain_hash.hex() != stored.chain_hash:
        yield Difference(where, "its bytes or its predecessor are not those that were hashed")
    elif entry.previous != previous:
        yield Difference(where, "it does not follow the entry before it: one of them was changed")
    for column, value in stored.columns.items():
        actual = entry.leaf_hash.hex() if column == "leaf_hash" else getattr(entry, column)
        if actual != value:
            yield Difference(where, f"its column {column} says something else than its bytes")


def _compare_roots(size: int, roots: Mapping[int, bytes], heads: _Heads) -> list[Difference]:
    """Return the first head that the tree does not fit, and all that it is too short for."""
    differences = []
    agreed, disagreed = 0, False
    for where, head in sorted(heads, key=lambda item: item[1].size):
        if head.size > size:
            problem = f"it signed {head.size} entries, and {size} are there: the rest is missing"
            differences.append(Difference(where, problem))
        elif roots[head.size] == head.root:
            agreed = head.size
        elif not disagreed:
            disagreed = True
            problem = (
                f"the first {head.size} entries have another root than it signed: "
                f"something from entry {agreed} to entry {head.size - 1} was changed"
            )
            differences.append(Difference(where, problem))
    return differences


def _bytes_of(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
