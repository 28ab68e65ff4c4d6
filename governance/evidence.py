"""Whether a study may run, from evidence alone: the one function that portal and sites both call.

The portal collects the evidence and checks it so as to fail early; each site checks it against the
roster fingerprint that it pinned itself, and only that has force. Nothing here trusts the portal:
what is not signed by the roster's members is only compared, by digest, with what is.

*Security*: a portal that lies can withhold evidence (the study does not run) or hide a decision to
stop until the approvals it contradicts run out. It cannot forge a decision, count one twice, apply
it to another plan, or use the approval of someone who has left the committee.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit import canonical
from governance.approvals import (
    check_agreed,
    check_class_approved,
    check_consented,
    check_study_approved,
)
from governance.errors import Refusal, RosterError, StatementError, refusal
from governance.roster import Roster, verify_chain
from governance.statements.decisions import Agreement, ClassApproval, Consent, StudyApproval
from governance.statements.envelope import SCHEMA as ENVELOPE_SCHEMA
from governance.statements.envelope import Envelope
from governance.statements.keys import from_base64, to_base64
from studies.catalogue import Declaration
from studies.documents import Schema, array, check, parse_moment, record, text
from studies.plan import PLAN_INVALID, PlanError, StudyPlan

__all__ = [
    "SCHEMA",
    "Evidence",
    "Verified",
    "check_agreed",
    "check_class_approved",
    "check_consented",
    "check_may_run",
    "check_study_approved",
    "read_plan",
]

_ENVELOPE = {key: value for key, value in ENVELOPE_SCHEMA.items() if not key.startswith("$")}
_ENVELOPES = array(_ENVELOPE, maximum=1000)
_LISTS = ("rosters", "class_approvals", "study_approvals", "agreements", "consents")
SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://quorate.org/schemas/evidence.json",
    "title": "Everything that shows a study may run",
    **record(
        {
            "rosters": _ENVELOPES,
            "plan": text(1_000_000, 4),
            "class_document": text(1_000_000, 4),
            "class_approvals": _ENVELOPES,
            "study_approvals": _ENVELOPES,
            "agreements": _ENVELOPES,
            "consents": _ENVELOPES,
        }
    ),
}


@dataclass(frozen=True)
class Evidence:
    """Everything that shows a study may run, as received. `check_may_run` judges it."""

    rosters: tuple[Envelope, ...]
    plan: bytes
    class_document: bytes
    class_approvals: tuple[Envelope, ...]
    study_approvals: tuple[Envelope, ...]
    agreements: tuple[Envelope, ...]
    consents: tuple[Envelope, ...]

    @classmethod
    def parse(cls, value: Any) -> Evidence:
        """Return the evidence that `value`, decoded JSON, describes.

        *Raises* Refusal (evidence_malformed).
        """
        try:
            found = check(value, SCHEMA)
            return cls(
                plan=from_base64(found["plan"]),
                class_document=from_base64(found["class_document"]),
                **{name: tuple(map(Envelope.parse, found[name])) for name in _LISTS},
            )
        except ValueError as error:
            raise refusal("evidence_malformed", problem=str(error)) from None

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as invitations carry it."""
        lists = {name: [item.to_json() for item in getattr(self, name)] for name in _LISTS}
        documents = {
            "plan": to_base64(self.plan),
            "class_document": to_base64(self.class_document),
        }
        return {**lists, **documents}


@dataclass(frozen=True)
class Verified:
    """What the evidence has shown: this plan of this class may run under this roster, and why."""

    plan: StudyPlan
    roster: Roster
    declaration: Declaration
    class_approvals: tuple[ClassApproval, ...]
    study_approvals: tuple[StudyApproval, ...]
    agreements: tuple[Agreement, ...]
    consents: tuple[Consent, ...]


def check_may_run(
    evidence: Evidence,
    *,
    pinned_roster: str,
    now: datetime,
    needs_consent_of: Sequence[str] | None = None,
) -> Verified:
    """Return what `evidence` shows, once it shows that the study may run at `now`.

    `pinned_roster` is the fingerprint of the first roster; `needs_consent_of` the sites whose
    consent is looked for, by default all of the plan's.

    *Raises* Refusal with the first code that applies, in this order: evidence_malformed,
    roster_unverified, plan_digest_mismatch, plan_invalid, class_unknown, class_digest_mismatch,
    author_unknown, class_revoked, class_approval_expired, class_quorum_missing, study_revoked,
    study_approval_expired, study_quorum_missing, agreement_missing, agreement_ended,
    agreement_expired, consent_missing, consent_declined, consent_withdrawn, consent_expired,
    plan_expired.
    """
    try:
        roster = verify_chain(evidence.rosters, pinned=pinned_roster)
        plan = read_plan(evidence, roster)
        of_class = check_class_approved(
            evidence.class_approvals, plan.declaration, roster=roster, now=now
        )
        of_study = check_study_approved(evidence.study_approvals, plan, roster=roster, now=now)
        signed = [
            check_agreed(evidence.agreements, site, roster=roster, now=now) for site in plan.sites
        ]
        consents = [
            check_consented(evidence.consents, plan, site, roster=roster, now=now)
            for site in (plan.sites if needs_consent_of is None else needs_consent_of)
        ]
    except RosterError as error:
        raise Refusal("roster_unverified", error.sentence) from None
    except StatementError as error:
        raise refusal("evidence_malformed", problem=error.sentence.rstrip(".")) from None
    if parse_moment(plan.expires_at) <= now:
        raise refusal("plan_expired", moment=plan.expires_at)
    return Verified(
        plan=plan,
        roster=roster,
        declaration=plan.declaration,
        class_approvals=of_class,
        study_approvals=of_study,
        agreements=tuple(agreement for agreement in signed if agreement is not None),
        consents=tuple(consents),
    )


def read_plan(evidence: Evidence, roster: Roster) -> StudyPlan:
    """Return the plan in `evidence`: valid, the one approvals name, of a class known here.

    *Raises* Refusal: plan_digest_mismatch, plan_invalid, author_unknown, class_unknown,
    class_digest_mismatch.
    """
    _check_digest_named(evidence)
    try:
        plan = StudyPlan.parse(evidence.plan)
    except PlanError as error:
        raise _plan_refusal(evidence.plan, error) from None
    if (unlisted := [site for site in plan.sites if roster.site(site) is None]) != []:
        problem = f"the roster does not list its sites {', '.join(unlisted)}"
        raise refusal("plan_invalid", problem=problem)
    author = roster.member(plan.author)
    if author is None or "pi" not in author.roles:
        raise refusal("author_unknown", author=plan.author)
    came = hashlib.sha256(evidence.class_document).hexdigest()
    if came != plan.class_reference.digest:
        expected, name = plan.class_reference.digest, str(plan.class_reference)
        raise refusal("class_digest_mismatch", name=name, expected=expected, came=came)
    return plan


def _check_digest_named(evidence: Evidence) -> None:
    digest = hashlib.sha256(evidence.plan).hexdigest()
    named = [StudyApproval.of(envelope).study_digest for envelope in evidence.study_approvals]
    if named and digest not in named:
        raise refusal("plan_digest_mismatch", expected=named[0], came=digest)


def _plan_refusal(body: bytes, error: PlanError) -> Refusal:
    first = min(error.problems, key=lambda problem: problem.code != PLAN_INVALID)
    if first.code == PLAN_INVALID:
        return refusal("plan_invalid", problem=str(error))
    named = canonical.loads(body)["class"]
    name = f"{named['name']}/{named['version']}"
    return refusal(first.code, name=name, expected=first.expected, came=first.came)
