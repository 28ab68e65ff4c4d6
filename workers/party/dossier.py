"""The dossier: every decision that this site has seen with a signature that it could verify.

They come with invitations, with entries of the log, in letters from other sites' agents and from
the site's own stewards. What is in the dossier is added to whatever evidence the portal sends, so
a decision to stop, once here, cannot be hidden by leaving it out.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from governance.errors import GovernanceError, StatementError
from governance.evidence import Evidence
from governance.roster import Roster
from governance.standing import check_signed, goes_ahead
from governance.statements.decisions import (
    Agreement,
    ClassApproval,
    Consent,
    LastingDecision,
    StudyApproval,
)
from governance.statements.envelope import Envelope, Kind
from workers.party.store import Transaction

KINDS = (Kind.CLASS_APPROVAL, Kind.STUDY_APPROVAL, Kind.AGREEMENT, Kind.CONSENT)
"""The kinds of decisions that the dossier keeps."""


def verified(envelope: Envelope, rosters: Sequence[Roster]) -> LastingDecision | None:
    """Return the decision in `envelope` if any of `rosters` lists who signed it, else None.

    Whether it counts today, the newest roster decides; that it was made, any of them shows.
    """
    if envelope.kind not in KINDS:
        return None
    for roster in reversed(rosters):
        try:
            return _decision(envelope, roster)
        except GovernanceError:
            continue
    return None


def keep(
    transaction: Transaction,
    envelopes: Iterable[Envelope],
    rosters: Sequence[Roster],
    *,
    site: str,
    source: str,
) -> list[Envelope]:
    """Add the verified ones among `envelopes` and return those that are new.

    `source` says where they came from: the portal, a site's letter, or here. New decisions to
    stop are due, by letter, to every other site of the newest roster.
    """
    new = []
    for envelope in envelopes:
        decision = verified(envelope, rosters)
        if decision is None:
            continue
        added = transaction.execute(
            "INSERT OR IGNORE INTO statements VALUES (?, ?, ?, ?, ?, ?)",
            (
                envelope.digest,
                envelope.kind.value,
                subject_of(decision),
                not goes_ahead(decision),
                source,
                json.dumps(envelope.to_json()),
            ),
        )
        if added.rowcount:
            new.append(envelope)
            if not goes_ahead(decision):
                others = [(other.id, envelope.digest) for other in rosters[-1].sites]
                transaction.executemany(
                    "INSERT INTO letters_due (recipient, digest) VALUES (?, ?)",
                    [due for due in others if due[0] != site],
                )
    return new


def about(transaction: Transaction, subjects: Collection[str]) -> list[Envelope]:
    """Return the decisions about any of `subjects`, digests of plans, classes or agreements."""
    marks = ", ".join("?" * len(subjects))
    rows = transaction.execute(
        f"SELECT envelope FROM statements WHERE about IN ({marks}) ORDER BY rowid",  # noqa: S608 only marks
        tuple(subjects),
    )
    return [Envelope.parse(json.loads(row["envelope"])) for row in rows]


def stops(transaction: Transaction, subjects: Collection[str]) -> tuple[str, ...]:
    """Return the digests of the decisions to stop about any of `subjects`, in order."""
    marks = ", ".join("?" * len(subjects))
    rows = transaction.execute(
        f"SELECT digest FROM statements WHERE stops AND about IN ({marks}) ORDER BY digest",  # noqa: S608 only marks
        tuple(subjects),
    )
    return tuple(row["digest"] for row in rows)


def added_to(evidence: Evidence, known: Iterable[Envelope]) -> Evidence:
    """Return `evidence` with `known` beside what the portal sent, nothing taken away.

    What the portal sent under the same digest may lack the signature by which it counts.
    """
    known = tuple(known)

    def of(kind: Kind) -> tuple[Envelope, ...]:
        return tuple(envelope for envelope in known if envelope.kind is kind)

    return replace(
        evidence,
        class_approvals=(*evidence.class_approvals, *of(Kind.CLASS_APPROVAL)),
        study_approvals=(*evidence.study_approvals, *of(Kind.STUDY_APPROVAL)),
        agreements=(*evidence.agreements, *of(Kind.AGREEMENT)),
        consents=(*evidence.consents, *of(Kind.CONSENT)),
    )


def known_digests(evidence: Evidence, rosters: Sequence[Roster]) -> frozenset[str]:
    """Return the digests of the decisions in `evidence` whose signature some roster vouches for."""
    return frozenset(
        envelope.digest
        for envelope in decisions_in(evidence)
        if verified(envelope, rosters) is not None
    )


def decisions_in(evidence: Evidence) -> Iterator[Envelope]:
    """Return every decision that `evidence` lists."""
    return chain(
        evidence.class_approvals, evidence.study_approvals, evidence.agreements, evidence.consents
    )


def subject_of(decision: LastingDecision) -> str:
    """Return the digest of what a decision is about."""
    if isinstance(decision, ClassApproval):
        return decision.class_digest
    if isinstance(decision, Agreement):
        return decision.agreement_digest
    return decision.study_digest


def _decision(envelope: Envelope, roster: Roster) -> LastingDecision:
    if envelope.kind is Kind.CLASS_APPROVAL:
        return check_signed(envelope, ClassApproval, roster).decision
    if envelope.kind is Kind.STUDY_APPROVAL:
        return check_signed(envelope, StudyApproval, roster).decision
    if envelope.kind is Kind.CONSENT:
        return check_signed(envelope, Consent, roster).decision
    if envelope.kind is Kind.AGREEMENT:
        return check_signed(envelope, Agreement, roster).decision
    raise StatementError("statement_wrong_kind", "expected a decision")
