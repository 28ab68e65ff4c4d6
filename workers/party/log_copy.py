"""This site's copy of the audit log: every entry, in order, up to what it has cosigned and beyond.

The portal sends entries with each new checkpoint. The site cosigns only a tree that it has
computed itself from the entries that it holds, so what is in the log is known here: nothing that
was logged can be hidden from this site. Entries beyond the last cosigned tree are provisional, and
dropped when the log's signed checkpoint turns out to be of others.

*Cost* of holding n entries: n + log2(n) hashes; on disk, the entries themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from audit import merkle
from audit.checkpoint import Checkpoint
from audit.entry import GENESIS, Entry, EntryError
from governance.errors import refusal
from governance.record import ABOUT, StudyRecord, replay
from workers.party.store import Transaction


def size(transaction: Transaction) -> int:
    """Return how many entries this site holds."""
    return int(transaction.execute("SELECT size FROM log_copy").fetchone()[0])


def hold(transaction: Transaction, first: int, leaves: Sequence[bytes], *, site: str) -> int:
    """Add the entries that stand from index `first` on, and return how many are held now.

    Those held already are compared, not added again.
    *Raises* Refusal entries_missing when there is a gap before them, checkpoint_inconsistent when
    they are no continuation of the entries held.
    """
    held = size(transaction)
    if first > held:
        raise refusal("entries_missing", site=site, held=held, expected=first)
    for offset, stored in enumerate(_leaves(transaction, first, first + len(leaves))):
        if stored != leaves[offset]:
            raise _inconsistent(site, f"another entry {first + offset} came before")
    _append(transaction, leaves[held - first :], site=site)
    return size(transaction)


def check_covers(transaction: Transaction, head: Checkpoint, *, site: str) -> None:
    """Check that the tree of `head` is that of the entries held.

    *Raises* Refusal entries_missing, checkpoint_inconsistent.
    """
    held = size(transaction)
    if held < head.size:
        raise refusal("entries_missing", site=site, held=held, expected=head.size)
    if _root_at(transaction, head.size) != head.root:
        raise _inconsistent(site, f"the entries sent make another tree of size {head.size}")


def drop_after(transaction: Transaction, kept: int) -> None:
    """Forget the entries from index `kept` on: no signed tree vouches for them."""
    transaction.execute("DELETE FROM entries WHERE number >= ?", (kept,))
    tree = merkle.Tree()
    last = b""
    for last in _leaves(transaction, 0, kept):
        tree.add(merkle.leaf_hash(last))
    _write_state(transaction, tree, Entry.parse(last).chain_hash if last else GENESIS)


def entry(transaction: Transaction, index: int) -> Entry | None:
    """Return the entry at `index`, or None where this site does not hold it."""
    leaf = next(_leaves(transaction, index, index + 1), None)
    return None if leaf is None else Entry.parse(leaf)


def record_of(transaction: Transaction, study: str, about: Collection[str]) -> StudyRecord:
    """Return what the entries held say of a study, and of the class and agreement it rests on."""
    marks = ", ".join("?" * len(about))
    rows = transaction.execute(
        f"SELECT leaf FROM entries WHERE study = ? OR about IN ({marks}) ORDER BY number",  # noqa: S608 only marks
        (study, *about),
    )
    return replay((Entry.parse(bytes(row["leaf"])) for row in rows), study)


def _append(transaction: Transaction, leaves: Iterable[bytes], *, site: str) -> None:
    row = transaction.execute("SELECT * FROM log_copy").fetchone()
    tree = merkle.Tree(row["size"], _split(bytes(row["subtrees"])))
    previous = bytes(row["chain_hash"])
    for leaf in leaves:
        try:
            new = Entry.parse(leaf)
        except EntryError as error:
            raise _inconsistent(site, f"entry {tree.size} cannot be read ({error})") from None
        if new.index != tree.size or new.previous != previous:
            raise _inconsistent(site, f"entry {tree.size} does not follow the one before it")
        about = next((str(new.data[name]) for name in ABOUT if name in new.data), "")
        transaction.execute(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?)",
            (new.index, new.study, new.event, about, leaf),
        )
        tree.add(new.leaf_hash)
        previous = new.chain_hash
    _write_state(transaction, tree, previous)


def _write_state(transaction: Transaction, tree: merkle.Tree, chain_hash: bytes) -> None:
    transaction.execute(
        "UPDATE log_copy SET size = ?, chain_hash = ?, subtrees = ?",
        (tree.size, chain_hash, b"".join(tree.subtrees)),
    )


def _root_at(transaction: Transaction, at_size: int) -> bytes:
    row = transaction.execute("SELECT * FROM log_copy").fetchone()
    if row["size"] == at_size:
        return merkle.Tree(at_size, _split(bytes(row["subtrees"]))).root()
    return merkle.root_hash([merkle.leaf_hash(leaf) for leaf in _leaves(transaction, 0, at_size)])


def _leaves(transaction: Transaction, first: int, end: int) -> Iterator[bytes]:
    rows = transaction.execute(
        "SELECT leaf FROM entries WHERE number >= ? AND number < ? ORDER BY number", (first, end)
    )
    return (bytes(row["leaf"]) for row in rows.fetchall())


def _split(subtrees: bytes) -> list[bytes]:
    width = merkle.HASH_SIZE_BYTES
    return [subtrees[start : start + width] for start in range(0, len(subtrees), width)]


def _inconsistent(site: str, problem: str) -> Exception:
    return refusal("checkpoint_inconsistent", site=site, problem=problem)
