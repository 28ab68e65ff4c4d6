"""Propose a computation class of the catalogue, and sign decisions about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.errors import ActionRefusedError, InvalidFieldsError
from accounts.models import User
from accounts.permissions import check_permission
from audit import canonical, log
from governance import dispatch, policies
from governance.errors import Refusal
from governance.evidence import check_class_approved
from governance.models import ClassApproval, ComputationClass, Run
from governance.moves import move_class
from governance.queries import current_roster, read_envelopes
from governance.quorum import COMMITTEE_ROLES, meets_quorum
from governance.roster import Roster
from governance.signed import read_signed
from governance.standing import newest_by_member, sort_out
from governance.statement_requests import class_fields
from governance.statements.decisions import ClassApproval as ClassDecision
from studies import catalogue
from studies.actions import plan_of
from studies.documents import parse_moment


@transaction.atomic
def propose_class(*, name: str, version: int, by: User) -> ComputationClass:
    """Return the catalogue's class `name` in `version`, entered for the committee's decision."""
    check_permission(by, "class.propose")
    try:
        declaration = catalogue.get(name, version)
    except KeyError as error:
        raise InvalidFieldsError({"name": str(error.args[0])}) from None
    if ComputationClass.objects.filter(name=name, version=version).exists():
        raise ActionRefusedError("class_exists", f"{declaration.title} is proposed already.")
    proposed = ComputationClass.objects.create(
        name=name,
        version=version,
        title=declaration.title,
        document=canonical.dumps(declaration.to_json()),
        digest=declaration.digest,
        proposed_by=by,
    )
    log.append(
        "class.proposed",
        actor=by.member_id,
        subject=f"class:{declaration.identifier}",
        data={"class_digest": declaration.digest},
    )
    return proposed


@transaction.atomic
def sign_class_decision(
    *, computation_class: ComputationClass, envelope: Mapping[str, Any], by: User
) -> ClassApproval:
    """Return the stored decision; the class moves when a quorum approves, rejects or revokes."""
    locked = ComputationClass.objects.select_for_update().get(pk=computation_class.pk)
    roster, now = current_roster(), timezone.now()
    signed = read_signed(
        ClassDecision,
        envelope,
        expected=class_fields(locked),
        roles=COMMITTEE_ROLES,
        roster=roster,
        by=by,
        now=now,
    )
    policies.check_can_decide_class(locked, signed.decision.decision, by)
    entry = log.append(
        "class.approval_signed",
        actor=by.member_id,
        subject=f"class:{locked.name}/{locked.version}",
        data={"class_digest": locked.digest, **signed.logged},
    )
    stored = ClassApproval.objects.create(
        computation_class=locked,
        valid_until=parse_moment(signed.decision.valid_until),
        log_index=entry.index,
        **signed.row,
    )
    target = _decided(locked, roster, now)
    if target is not None and target != locked.state:
        move_class(locked, target)
    if target == ComputationClass.State.REVOKED:
        _reach_active_runs(locked)
    computation_class.state = locked.state
    return stored


def _reach_active_runs(computation_class: ComputationClass) -> None:
    """Have the coordinator look again at the runs that this class no longer permits."""
    for run in Run.objects.filter(state__in=policies.ACTIVE_RUNS).select_related("version"):
        if plan_of(run.version).class_reference.digest == computation_class.digest:
            dispatch.advance(run.identifier)


def _decided(
    computation_class: ComputationClass, roster: Roster, now: datetime
) -> ComputationClass.State | None:
    """Return the state that the decisions at hand call for, or None while they call for none."""
    stored = computation_class.approvals.order_by("pk").values_list("envelope", flat=True)
    envelopes = read_envelopes(stored)
    signed, _ = sort_out(envelopes, ClassDecision, roster, now)
    rejecting = [
        item.member for item in newest_by_member(signed) if item.decision.decision == "reject"
    ]
    if meets_quorum(rejecting, roster.rules.class_approvals, author=None):
        return ComputationClass.State.REJECTED
    declaration = catalogue.get(computation_class.name, computation_class.version)
    try:
        check_class_approved(envelopes, declaration, roster=roster, now=now)
    except Refusal as refusal:
        return ComputationClass.State.REVOKED if refusal.code == "class_revoked" else None
    return ComputationClass.State.APPROVED
