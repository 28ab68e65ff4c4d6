"""Whether class, study and site have agreed: each from its signed decisions alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from governance.errors import QuorumError, refusal
from governance.quorum import Outcome, Review, check_quorum, meets_quorum, review_outcome
from governance.roster import Roster
from governance.standing import (
    Signed,
    expired,
    goes_ahead,
    in_order,
    newest_by_member,
    sort_out,
)
from governance.statements.decisions import Agreement, ClassApproval, Consent, StudyApproval
from governance.statements.envelope import Envelope
from studies.catalogue import Declaration
from studies.plan import StudyPlan


def check_class_approved(
    approvals: Sequence[Envelope], declaration: Declaration, *, roster: Roster, now: datetime
) -> tuple[ClassApproval, ...]:
    """Return the approvals by which the committee's quorum permits this class, none revoked.

    A member who revokes takes back their own approval; a quorum that revokes ends the class
    whoever else approves.

    *Raises* Refusal: class_revoked, class_approval_expired, class_quorum_missing.
    """
    signed, faults = sort_out(approvals, ClassApproval, roster, now)
    newest = newest_by_member(
        [item for item in signed if item.decision.class_digest == declaration.digest]
    )
    rule, name = roster.rules.class_approvals, declaration.identifier
    revoked = [item.member for item in newest if item.decision.decision == "revoke"]
    approved = [item for item in newest if item.decision.decision == "approve"]
    valid = [item.member for item in approved if not expired(item.decision, now)]
    if meets_quorum(revoked, rule, author=None):
        raise refusal("class_revoked", name=name)
    try:
        check_quorum(valid, rule, author=None)
    except QuorumError as error:
        if revoked:
            raise refusal("class_revoked", name=name) from None
        lapsed = meets_quorum([item.member for item in approved], rule, author=None)
        code = "class_approval_expired" if lapsed else "class_quorum_missing"
        raise refusal(code, name=name, problem="; ".join([error.sentence, *faults])) from None
    return tuple(item.decision for item in approved if not expired(item.decision, now))


def check_study_approved(
    approvals: Sequence[Envelope], plan: StudyPlan, *, roster: Roster, now: datetime
) -> tuple[StudyApproval, ...]:
    """Return the reviews by which the committee approves exactly this plan, never its author's.

    A member who revokes takes back their own approval; a quorum that revokes ends the approval
    whoever else approves.

    *Raises* Refusal: study_revoked, study_approval_expired, study_quorum_missing.
    """
    signed, faults = sort_out(approvals, StudyApproval, roster, now)
    named = (plan.study, plan.version, plan.digest)
    decided = newest_by_member([item for item in signed if _reviewed(item) == named])
    revoked = [item.member for item in decided if item.decision.decision == "revoke"]
    newest = [item for item in decided if item.decision.decision != "revoke"]
    valid = [item for item in newest if not expired(item.decision, now)]
    rule, author = roster.rules.study_approvals, roster.author(plan.author)
    if meets_quorum(revoked, rule, author=author):
        raise refusal("study_revoked")
    approving = [item for item in valid if item.decision.decision == "approve"]
    if _outcome(valid, roster, plan) is Outcome.APPROVED:
        return tuple(item.decision for item in approving if not author.keeps_out(item.member))
    if revoked:
        raise refusal("study_revoked")
    lapsed = _outcome(newest, roster, plan) is Outcome.APPROVED
    code = "study_approval_expired" if lapsed else "study_quorum_missing"
    try:
        check_quorum([item.member for item in approving], rule, author=author)
        problem = "the reviewers disagree"
    except QuorumError as error:
        problem = error.sentence
    raise refusal(code, problem="; ".join([problem, *faults]))


def check_consented(
    consents: Sequence[Envelope],
    plan: StudyPlan,
    site: str,
    *,
    roster: Roster,
    now: datetime,
) -> Consent:
    """Return the consent of `site` to exactly this plan, by a steward of its own organisation.

    Nobody consents to their own study: the author's consent is not counted, what they stop is.

    *Raises* Refusal: consent_missing, consent_declined, consent_withdrawn, consent_expired.
    """
    signed, _ = sort_out(consents, Consent, roster, now)
    listed = roster.site(site)
    entitled = [
        item
        for item in signed
        if listed is not None
        and item.member.organisation == listed.organisation
        and "steward" in item.member.roles
        and not (goes_ahead(item.decision) and item.member.id == plan.author)
        and (item.decision.study, item.decision.study_digest, item.decision.site)
        == (plan.study, plan.digest, site)
    ]
    if not entitled:
        raise refusal("consent_missing", site=site)
    newest = in_order(entitled)[-1].decision
    if newest.decision != "consent":
        stopped = "consent_declined" if newest.decision == "decline" else "consent_withdrawn"
        raise refusal(stopped, site=site)
    if expired(newest, now):
        raise refusal("consent_expired", site=site, moment=newest.valid_until)
    return newest


def check_agreed(
    agreements: Sequence[Envelope], site: str, *, roster: Roster, now: datetime
) -> Agreement | None:
    """Return the signature of the site's organisation under the roster's agreement, if it has one.

    Of all data stewards of an organisation the newest word counts.

    *Raises* Refusal: agreement_missing, agreement_ended, agreement_expired.
    """
    required, listed = roster.rules.agreement, roster.site(site)
    if required is None:
        return None
    signed, _ = sort_out(agreements, Agreement, roster, now)
    entitled = [
        item
        for item in signed
        if listed is not None
        and item.member.organisation == listed.organisation
        and "steward" in item.member.roles
        and item.decision.agreement_digest == required.digest
    ]
    if not entitled:
        raise refusal("agreement_missing", site=site, title=required.title)
    newest = in_order(entitled)[-1].decision
    if newest.decision != "sign":
        raise refusal("agreement_ended", site=site, title=required.title)
    if expired(newest, now):
        moment = newest.valid_until
        raise refusal("agreement_expired", site=site, title=required.title, moment=moment)
    return newest


def _reviewed(item: Signed[StudyApproval]) -> tuple[str, int, str]:
    return item.decision.study, item.decision.study_version, item.decision.study_digest


def _outcome(signed: Sequence[Signed[StudyApproval]], roster: Roster, plan: StudyPlan) -> Outcome:
    reviews = [Review(item.member, item.decision.decision) for item in signed]
    rule, author = roster.rules.study_approvals, roster.author(plan.author)
    return review_outcome(reviews, rule, author=author)
