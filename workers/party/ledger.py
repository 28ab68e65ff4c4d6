"""The site's privacy ledger: what each data set may spend over all studies, and what it has.

    reserved -> committed        at the opening: spent, never refunded
    reserved -> released         the attempt ended and nothing of it was opened

One currency, micro-epsilon, and one cap for each data set, fixed when it is registered. All
functions take an open IMMEDIATE transaction: two runs cannot both take what only one may have,
and the database refuses what these functions would let through.
"""

from __future__ import annotations

from dataclasses import dataclass

from governance.errors import refusal
from workers.party.store import Transaction

CURRENCY = "micro-epsilon"


@dataclass(frozen=True)
class Balance:
    """What one data set may spend, has spent and holds for runs under way. *Units* micro-epsilon"""

    data_set: str
    cap: int
    committed: int
    reserved: int

    @property
    def left(self) -> int:
        """What a further run may cost at most."""
        return self.cap - self.committed - self.reserved


def open_account(
    transaction: Transaction, *, data_set: str, register_version: int, cap: int
) -> None:
    """Give a newly registered data set its budget, for good."""
    transaction.execute(
        "INSERT INTO data_sets VALUES (?, ?, ?, ?)", (data_set, register_version, CURRENCY, cap)
    )


def balance(transaction: Transaction, data_set: str) -> Balance | None:
    """Return what a data set has left; None when it is not registered."""
    row = transaction.execute(
        "SELECT cap,"
        " (SELECT coalesce(sum(amount), 0) FROM charges"
        "  WHERE data_set = name AND state = 'committed'),"
        " (SELECT coalesce(sum(amount), 0) FROM charges"
        "  WHERE data_set = name AND state = 'reserved')"
        " FROM data_sets WHERE name = ?",
        (data_set,),
    ).fetchone()
    return None if row is None else Balance(data_set, *row)


def check_can_reserve(
    transaction: Transaction,
    *,
    site: str,
    data_set: str,
    run: str,
    study_digest: str,
    amount: int,
    max_runs: int,
) -> None:
    """Check that a run fits the plan's number of runs and the data set's budget.

    What the run itself has reserved in an earlier attempt is not in its way, what it has
    committed is: a run is opened once.

    *Raises* Refusal plan_runs_exhausted, data_set_unknown, budget_exhausted.
    """
    held = balance(transaction, data_set)
    if held is None:
        raise refusal(
            "data_set_unknown", site=site, name=data_set, problem="it has no account in the ledger"
        )
    used = transaction.execute(
        "SELECT count(DISTINCT run) FROM charges WHERE study_digest = ?"
        " AND (state = 'committed' OR (state = 'reserved' AND run <> ?))",
        (study_digest, run),
    ).fetchone()[0]
    opened = transaction.execute(
        "SELECT count(*) FROM charges WHERE run = ? AND state = 'committed'", (run,)
    ).fetchone()[0]
    if used >= max_runs or opened:
        raise refusal("plan_runs_exhausted", allowed=max_runs)
    own = transaction.execute(
        "SELECT coalesce(sum(amount), 0) FROM charges"
        " WHERE run = ? AND data_set = ? AND state = 'reserved'",
        (run, data_set),
    ).fetchone()[0]
    left = held.left + own
    if amount > left:
        raise refusal("budget_exhausted", site=site, name=data_set, charge=amount, left=left)


def reserve(
    transaction: Transaction,
    *,
    site: str,
    data_set: str,
    run: str,
    attempt: int,
    study_digest: str,
    amount: int,
    max_runs: int,
) -> None:
    """Set the charge of a run aside before it starts.

    *Raises* Refusal as `check_can_reserve`.
    """
    transaction.execute(
        "UPDATE charges SET state = 'released' WHERE run = ? AND attempt < ?"
        " AND state = 'reserved'",
        (run, attempt),
    )
    check_can_reserve(
        transaction,
        site=site,
        data_set=data_set,
        run=run,
        study_digest=study_digest,
        amount=amount,
        max_runs=max_runs,
    )
    transaction.execute(
        "INSERT INTO charges VALUES (?, ?, ?, ?, ?, 'reserved')",
        (run, attempt, data_set, study_digest, amount),
    )


def commit(transaction: Transaction, run: str, attempt: int) -> int:
    """Spend what was reserved, for good, and return it.

    *Raises* LookupError when nothing is reserved for this attempt.
    """
    row = transaction.execute(
        "UPDATE charges SET state = 'committed' WHERE run = ? AND attempt = ?"
        " AND state = 'reserved' RETURNING amount",
        (run, attempt),
    ).fetchone()
    if row is None:
        raise LookupError(f"nothing is reserved for attempt {attempt} of {run}")
    return int(row[0])


def release(transaction: Transaction, run: str, attempt: int) -> None:
    """Give back what an attempt has reserved, if it has; what is committed stays."""
    transaction.execute(
        "UPDATE charges SET state = 'released' WHERE run = ? AND attempt = ?"
        " AND state = 'reserved'",
        (run, attempt),
    )
