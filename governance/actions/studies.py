"""Submit, review, amend and withdraw studies."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from audit import log
from governance import notifications, policies
from governance.models import StudyApproval
from governance.moves import move_study
from governance.queries import current_roster, review_outcome_of
from governance.quorum import COMMITTEE_ROLES, Outcome
from governance.signed import read_signed
from governance.statement_requests import review_fields
from governance.statements.decisions import StudyApproval as Review
from governance.states import Actor
from studies.actions import add_version, build_plan, plan_of
from studies.documents import parse_moment
from studies.models import Study, StudyVersion

_MOVES = {
    Outcome.APPROVED: (Study.State.APPROVED, notifications.study_approved),
    Outcome.RETURNED: (Study.State.RETURNED, notifications.study_returned),
    Outcome.REJECTED: (Study.State.REJECTED, notifications.study_rejected),
    Outcome.CONFLICTED: (Study.State.CONFLICTED, notifications.more_review_needed),
}


@transaction.atomic
def submit_study(*, study: Study, by: User) -> None:
    """Hand the draft to the committee; from now on this version never changes."""
    locked = lock(study)
    policies.check_can_submit(locked, by)
    version = locked.current
    StudyVersion.objects.filter(pk=version.pk).update(submitted_at=timezone.now())
    locked.title = plan_of(version).title
    locked.save(update_fields=["title"])
    move_study(locked, Study.State.IN_REVIEW, actor=Actor.PI, by=by)
    notifications.study_submitted(locked)
    study.state, study.title = locked.state, locked.title


@transaction.atomic
def review_study(*, study: Study, envelope: Mapping[str, Any], by: User) -> StudyApproval:
    """Return the stored review; the study moves when enough reviews are in.

    A study that has been approved stays so: then an approval is renewed.

    *Raises* StatementError, NotPermittedError, ActionRefusedError.
    """
    locked = lock(study)
    policies.check_can_review(locked, by)
    roster, now = current_roster(), timezone.now()
    signed = read_signed(
        Review,
        envelope,
        expected=review_fields(locked),
        roles=COMMITTEE_ROLES,
        roster=roster,
        by=by,
        now=now,
    )
    policies.check_can_renew(locked, signed.decision.decision)
    version = locked.current
    entry = log.append(
        "study.review_signed",
        actor=by.member_id,
        subject=f"study:{locked.identifier}",
        study=locked.identifier,
        data={"study_digest": version.digest, **signed.logged},
    )
    stored = StudyApproval.objects.create(
        version=version,
        valid_until=parse_moment(signed.decision.valid_until),
        log_index=entry.index,
        **signed.row,
    )
    if locked.state in policies.BLINDED:
        _follow(locked, review_outcome_of(version, roster, now))
    study.state = locked.state
    return stored


def _follow(study: Study, outcome: Outcome) -> None:
    """Move the study as its reviews have it."""
    target, tell = _MOVES.get(outcome, (None, None))
    if target is not None and tell is not None and target != study.state:
        move_study(study, target, actor=Actor.SYSTEM)
        tell(study)


@transaction.atomic
def amend_study(*, study: Study, by: User, plan: Mapping[str, Any] | None = None) -> StudyVersion:
    """Return a new draft version with `plan`, or with the plan as it is, to be edited.

    Approvals and consents name the old version's digest: they are void.
    """
    locked = lock(study)
    policies.check_can_amend(locked, by)
    before = locked.current
    fields = plan_of(before).to_json() if plan is None else plan
    built = build_plan(fields, study=locked.identifier, version=before.number + 1, by=by)
    version = add_version(locked, built)
    move_study(locked, Study.State.DRAFT, actor=Actor.PI, by=by, data={"version": version.number})
    study.state = locked.state
    return version


@transaction.atomic
def withdraw_study(*, study: Study, by: User) -> None:
    """End the study for good, by its author."""
    locked = lock(study)
    policies.check_can_withdraw(locked, by)
    move_study(locked, Study.State.WITHDRAWN, actor=Actor.PI, by=by)
    study.state = locked.state


@transaction.atomic
def expire_study(*, study: Study, now: datetime) -> bool:
    """Return whether the study's plan was over at `now`, and mark it expired then."""
    locked = lock(study)
    over = parse_moment(plan_of(locked.current).expires_at) <= now
    if over and locked.state in (Study.State.APPROVED, Study.State.READY):
        move_study(locked, Study.State.EXPIRED, actor=Actor.SYSTEM)
        study.state = locked.state
    return over


def lock(study: Study) -> Study:
    """Return the study's row, kept from others until the transaction ends."""
    return Study.objects.select_for_update().get(pk=study.pk)
