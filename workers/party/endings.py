"""How an attempt ends before its result is opened, and what the portal is told of how it stands.

Before inputs are loaded an ending has a code; afterwards the only code is `aborted`, whatever
happened, for a reason that depends on data would tell something about them. What was reserved is
given back, for nothing was opened, and every secret of the attempt is erased.
"""

from __future__ import annotations

import json
from datetime import datetime

from governance.errors import GovernanceError
from workers.party import attempts, ledger
from workers.party.attempts import Attempt
from workers.party.store import Transaction, record
from workers.transport.control import Message, Sender, format_message

END = "end"
"""The request under which an attempt's last frame is kept."""

_EARLY_FAILURES = ("site_lost", "deadline_passed")


def refuse(
    transaction: Transaction,
    run: str,
    attempt: int,
    error: GovernanceError,
    *,
    now: datetime,
    detail: str,
) -> str:
    """End an attempt with a refusal and return the frame that says so."""
    found = attempts.find(transaction, run, attempt)
    if found is None:
        attempts.begin_refused(transaction, run, attempt, reason=error.code)
    elif found.state in ("queued", "computing"):
        return stop(transaction, found, reason=error.code, now=now)
    elif not found.final:
        attempts.finish(transaction, run, attempt, "refused", reason=error.code)
        ledger.release(transaction, run, attempt)
    record(
        transaction,
        at=now,
        event=f"refused: {error.code}",
        run=run,
        attempt=attempt,
        detail=detail,
    )
    frame = _frame(refusal_message(run, attempt, error))
    return attempts.store_answer(transaction, run, attempt, END, frame)


def stop(transaction: Transaction, found: Attempt, *, reason: str, now: datetime) -> str:
    """End an attempt as failed and return the frame that says so.

    `reason` stays in the site's journal; the portal is told `aborted` once inputs are loaded.
    """
    early = reason if reason in _EARLY_FAILURES else "aborted"
    code = "aborted" if found.inputs_loaded else early
    attempts.finish(transaction, found.run, found.attempt, "failed", reason=reason)
    ledger.release(transaction, found.run, found.attempt)
    record(transaction, at=now, event=f"stopped: {reason}", run=found.run, attempt=found.attempt)
    message = {"type": "failure", "run": found.run, "attempt": found.attempt, "code": code}
    return attempts.store_answer(transaction, found.run, found.attempt, END, _frame(message))


def supersede(transaction: Transaction, run: str, attempt: int, *, now: datetime) -> None:
    """End the attempts of `run` that a newer one takes the place of."""
    for found in attempts.unfinished(transaction, run=run):
        if found.attempt < attempt:
            stop(transaction, found, reason="attempt_superseded", now=now)


def stop_study(transaction: Transaction, study_digest: str, *, reason: str, now: datetime) -> None:
    """End whatever is under way for a study, because its consent was withdrawn here."""
    for found in attempts.unfinished(transaction):
        if found.study_digest == study_digest:
            stop(transaction, found, reason=reason, now=now)


def status_frame(transaction: Transaction, found: Attempt) -> str:
    """Return the frame that tells the portal how a started attempt stands."""
    end = attempts.stored_answer(transaction, found.run, found.attempt, END)
    if end is not None:
        return end
    if found.certificate:
        certificate = json.loads(found.certificate)
        message = {"run": found.run, "attempt": found.attempt, "envelope": certificate}
        return _frame({"type": "certificate", **message})
    return progress_frame(found)


def progress_frame(found: Attempt) -> str:
    """Return the frame that tells the portal which step an attempt has reached."""
    message = {"run": found.run, "attempt": found.attempt, "step": found.step}
    return _frame({"type": "progress", **message})


def failures_after(transaction: Transaction, number: int) -> tuple[int, list[str]]:
    """Return the number of the newest ending, and the failures among those after `number`."""
    rows = transaction.execute(
        "SELECT rowid, frame FROM answers WHERE request = ? AND rowid > ? ORDER BY rowid",
        (END, number),
    ).fetchall()
    latest = max([number, *(row["rowid"] for row in rows)])
    return latest, [row["frame"] for row in rows if '"type":"failure"' in row["frame"]]


def refusal_message(run: str, attempt: int, error: GovernanceError) -> Message:
    """Return the message that carries a refusal."""
    return {
        "type": "refusal",
        "run": run,
        "attempt": attempt,
        "code": error.code,
        "sentence": error.sentence[:1000],
    }


def _frame(message: Message) -> str:
    return format_message(message, sender=Sender.AGENT)
