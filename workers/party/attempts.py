"""A site's part in the attempts of runs: rows that move forward, in transactions.

    offered -> accepted -> queued -> computing -> sealed -> opened
       each may instead end as refused (before it is queued, or at its permit) or failed

Every function takes an open transaction, so that a state, the ledger and the answer to the
portal change together or not at all.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from workers.party.errors import LeaseLost, StateError
from workers.party.store import Transaction
from workers.party.tables import FINAL

AWAITING_RELEASE = "awaiting_release"
"""The step of a sealed attempt whose share a steward of this site has to let go."""
ABORTS_BEFORE_RENEWAL = 3
"""So many stopped computations void this site's consent (design, section 7)."""


@dataclass(frozen=True)
class Attempt:
    """One attempt as the store has it; `private_key` and what is sealed are never printed."""

    run: str
    attempt: int
    state: str
    reason: str
    session: str
    study_digest: str
    consent_digest: str
    evidence: str = field(repr=False)
    offer: str = field(repr=False)
    private_key: bytes | None = field(repr=False)
    manifest: bytes | None = field(repr=False)
    manifest_digest: str
    party: int | None
    step: str
    lease: str = field(repr=False)
    lease_beats: int
    inputs_loaded: bool
    output_share: bytes | None = field(repr=False)
    commitment_salt: bytes | None = field(repr=False)
    certificate: str = field(repr=False)

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self.state in FINAL


def find(transaction: Transaction, run: str, attempt: int) -> Attempt | None:
    """Return an attempt; None when this site has never heard of it."""
    row = transaction.execute(
        "SELECT * FROM attempts WHERE run = ? AND attempt = ?", (run, attempt)
    ).fetchone()
    return None if row is None else _from_row(row)


def get(transaction: Transaction, run: str, attempt: int) -> Attempt:
    """Return an attempt. *Raises* StateError when there is none."""
    found = find(transaction, run, attempt)
    if found is None:
        raise StateError(f"this site knows no attempt {attempt} of {run}")
    return found


def newest(transaction: Transaction, run: str) -> int:
    """Return the number of the newest attempt of a run that this site has heard of, or 0."""
    row = transaction.execute(
        "SELECT coalesce(max(attempt), 0) FROM attempts WHERE run = ?", (run,)
    ).fetchone()
    return int(row[0])


def unfinished(transaction: Transaction, *, run: str | None = None) -> list[Attempt]:
    """Return the attempts, of one run or of all, that something can still follow."""
    rows = transaction.execute(
        "SELECT * FROM attempts WHERE state NOT IN ('opened', 'refused', 'failed')"
        " AND (? IS NULL OR run = ?) ORDER BY run, attempt",
        (run, run),
    )
    return [_from_row(row) for row in rows]


def offer(transaction: Transaction, run: str, attempt: int, **columns: Any) -> None:
    """Begin an attempt: the invitation was verified, a key of its own was made."""
    _insert(transaction, run, attempt, state="offered", **columns)


def begin_refused(transaction: Transaction, run: str, attempt: int, *, reason: str) -> None:
    """Write down an attempt that was refused at its invitation."""
    _insert(transaction, run, attempt, state="refused", reason=reason)


def accept(transaction: Transaction, run: str, attempt: int, **columns: Any) -> None:
    """The manifest was verified and countersigned, the budget reserved."""
    _move(transaction, run, attempt, "offered", "accepted", columns)


def queue(transaction: Transaction, run: str, attempt: int) -> None:
    """Every party's acceptance was verified: the attempt waits for this site's worker."""
    _move(transaction, run, attempt, "accepted", "queued", {"step": "queued"})


def take(transaction: Transaction, run: str, attempt: int) -> Attempt:
    """Take the lease on a queued attempt and return it; at most one worker ever can.

    *Raises* LeaseLost when it is not queued: whoever took it before may have used its
    randomness, and a dead computation is never resumed.
    """
    try:
        _move(
            transaction,
            run,
            attempt,
            "queued",
            "computing",
            {"lease": secrets.token_hex(16), "step": "connecting"},
        )
    except StateError as error:
        raise LeaseLost(str(error)) from None
    return get(transaction, run, attempt)


def renew(transaction: Transaction, held: Attempt, **columns: Any) -> None:
    """Show that the worker which holds the lease is alive, and write what it has to say.

    *Raises* LeaseLost when the attempt is no longer this worker's.
    """
    names = "".join(f", {name} = ?" for name in columns)
    changed = transaction.execute(
        f"UPDATE attempts SET lease_beats = lease_beats + 1{names}"  # noqa: S608 own names
        " WHERE run = ? AND attempt = ? AND state = 'computing' AND lease = ?",
        (*columns.values(), held.run, held.attempt, held.lease),
    )
    if changed.rowcount != 1:
        raise LeaseLost(f"attempt {held.attempt} of {held.run} is no longer this worker's")


def seal(
    transaction: Transaction, held: Attempt, *, share: bytes, salt: bytes, certificate: str
) -> None:
    """Keep the output share and the signed certificate; erase the session's key.

    *Raises* LeaseLost when the attempt is no longer this worker's.
    """
    renew(transaction, held)
    columns = {
        "output_share": share,
        "commitment_salt": salt,
        "certificate": certificate,
        "step": "sealed",
        "private_key": None,
    }
    _move(transaction, held.run, held.attempt, "computing", "sealed", columns)


def wait_for_release(transaction: Transaction, run: str, attempt: int) -> bool:
    """Note that a sealed attempt waits for this site's own release; tell whether that is news."""
    changed = transaction.execute(
        "UPDATE attempts SET step = ? WHERE run = ? AND attempt = ? AND state = 'sealed'"
        " AND step <> ?",
        (AWAITING_RELEASE, run, attempt, AWAITING_RELEASE),
    )
    return changed.rowcount == 1


def release_decided(transaction: Transaction, run: str, attempt: int) -> None:
    """Note that a steward has decided about the share that waited."""
    transaction.execute(
        "UPDATE attempts SET step = 'sealed' WHERE run = ? AND attempt = ? AND step = ?",
        (run, attempt, AWAITING_RELEASE),
    )


def finish(transaction: Transaction, run: str, attempt: int, state: str, *, reason: str) -> None:
    """End an attempt as opened, refused or failed, and erase every secret of it."""
    found = get(transaction, run, attempt)
    columns = {
        "reason": reason,
        "private_key": None,
        "output_share": None,
        "commitment_salt": None,
    }
    _move(transaction, run, attempt, found.state, state, columns)


def aborts_since_consent(transaction: Transaction, *, consent_digest: str) -> int:
    """Return how many computations were stopped, inputs loaded, under one consent of this site."""
    row = transaction.execute(
        "SELECT count(*) FROM attempts WHERE consent_digest = ? AND state = 'failed'"
        " AND inputs_loaded = 1",
        (consent_digest,),
    ).fetchone()
    return int(row[0])


def stored_answer(transaction: Transaction, run: str, attempt: int, request: str) -> str | None:
    """Return the frame with which a request was answered before, byte for byte."""
    row = transaction.execute(
        "SELECT frame FROM answers WHERE run = ? AND attempt = ? AND request = ?",
        (run, attempt, request),
    ).fetchone()
    return None if row is None else str(row[0])


def store_answer(transaction: Transaction, run: str, attempt: int, request: str, frame: str) -> str:
    """Keep the frame that answers a request, once and for all, and return it."""
    transaction.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (run, attempt, request, frame))
    return frame


def _insert(transaction: Transaction, run: str, attempt: int, **columns: Any) -> None:
    names = ", ".join(["run", "attempt", *columns])
    marks = ", ".join("?" * (2 + len(columns)))
    transaction.execute(
        f"INSERT INTO attempts ({names}) VALUES ({marks})",  # noqa: S608 own names
        (run, attempt, *columns.values()),
    )


def _move(
    transaction: Transaction,
    run: str,
    attempt: int,
    source: str,
    target: str,
    columns: dict[str, Any],
) -> None:
    names = "".join(f", {name} = ?" for name in columns)
    changed = transaction.execute(
        f"UPDATE attempts SET state = ?{names}"  # noqa: S608 own names
        " WHERE run = ? AND attempt = ? AND state = ?",
        (target, *columns.values(), run, attempt, source),
    )
    if changed.rowcount != 1:
        raise StateError(f"attempt {attempt} of {run} is not {source}: it cannot become {target}")


def _from_row(row: Any) -> Attempt:
    values = dict(row)
    return Attempt(**{**values, "inputs_loaded": bool(values["inputs_loaded"])})
