"""This site as a witness of the audit log.

It cosigns a checkpoint only when the log signed it, it continues the largest tree that this site
has cosigned before, and the entries that this site holds make exactly this tree; it keeps the new
tree head before its signature leaves. Together with the other sites' cosignatures this keeps the
portal from showing two histories.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from audit import checkpoint, merkle
from audit.signed_note import NoteError, SignedNote
from governance.errors import refusal
from governance.roster import Roster
from workers.party import log_copy
from workers.party.home import SiteHome
from workers.party.store import Transaction, record


@dataclass(frozen=True)
class Head:
    """A tree of the log, as key offers and `hello` name it: its size, its root in hex."""

    size: int
    root: str


def latest(transaction: Transaction) -> Head | None:
    """Return the largest tree this site has cosigned; None before the first."""
    row = transaction.execute("SELECT size, root FROM cosigned ORDER BY size DESC").fetchone()
    return None if row is None else Head(int(row["size"]), str(row["root"]))


def check_same_history(
    transaction: Transaction, head: Head | None, *, site: str, source: str
) -> None:
    """Check that the tree head in `source` is not a second history of a size cosigned here.

    *Raises* Refusal checkpoint_inconsistent.
    """
    if head is None:
        return
    row = transaction.execute("SELECT root FROM cosigned WHERE size = ?", (head.size,)).fetchone()
    if row is not None and row["root"] != head.root:
        raise refusal(
            "checkpoint_inconsistent",
            site=site,
            problem=f"{source} names another tree of size {head.size}",
        )


def cosign(
    home: SiteHome,
    roster: Roster,
    *,
    note: str,
    old_size: int,
    proof: Sequence[str],
    now: datetime,
) -> tuple[int, str]:
    """Return the size and the cosignature line for the checkpoint in `note`.

    A tree cosigned before gets the line it got then. *Raises* Refusal checkpoint_unsigned,
    entries_missing or checkpoint_inconsistent.
    """
    site = home.configuration.site
    try:
        head = checkpoint.verify(SignedNote.parse(note), roster.log_key)
    except NoteError as error:
        raise refusal("checkpoint_unsigned", problem=str(error)) from None
    with home.store.transaction() as transaction:
        row = transaction.execute(
            "SELECT root, line FROM cosigned WHERE size = ?", (head.size,)
        ).fetchone()
        if row is not None and row["root"] == head.root.hex():
            return head.size, str(row["line"])
        _check_continues(transaction, head, old_size=old_size, proof=proof, site=site)
        log_copy.check_covers(transaction, head, site=site)
        line = checkpoint.cosign(
            head, home.identity, witness=site, timestamp=int(now.timestamp())
        ).encode()
        transaction.execute(
            "INSERT INTO cosigned VALUES (?, ?, ?)", (head.size, head.root.hex(), line)
        )
        record(transaction, at=now, event="checkpoint cosigned", detail=f"size {head.size}")
    return head.size, line


def _check_continues(
    transaction: Transaction,
    head: checkpoint.Checkpoint,
    *,
    old_size: int,
    proof: Sequence[str],
    site: str,
) -> None:
    last = latest(transaction)
    last_size = last.size if last else 0
    last_root = bytes.fromhex(last.root) if last else merkle.EMPTY_ROOT
    problem = ""
    if head.size <= last_size:
        problem = f"it has size {head.size}, and size {last_size} was cosigned"
    elif old_size != last_size:
        problem = f"expected a proof from size {last_size}, came one from {old_size}"
    else:
        try:
            merkle.verify_consistency(
                old_size=last_size,
                new_size=head.size,
                old_root=last_root,
                new_root=head.root,
                proof=[base64.b64decode(item, validate=True) for item in proof],
            )
        except (merkle.ProofError, ValueError) as error:
            problem = str(error)
    if problem:
        raise refusal("checkpoint_inconsistent", site=site, problem=problem)
