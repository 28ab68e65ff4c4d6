"""Start and cancel runs."""

import secrets

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from audit import log
from governance import dispatch, policies
from governance.actions.studies import lock
from governance.evidence import check_may_run
from governance.evidence_store import evidence_for
from governance.models import Run
from governance.reasons import sentence
from governance.states import Actor, Machine, transition
from studies.models import Study


@transaction.atomic
def start_run(*, study: Study, by: User) -> Run:
    """Return a new run of the study's current version, to be carried out by the coordinator.

    The evidence that every site will check is checked here first, so that what they would refuse
    fails early, with the same sentence.

    *Raises* NotPermittedError, ActionRefusedError, Refusal.
    """
    locked = lock(study)
    policies.check_can_start_run(locked, by)
    version = locked.current
    evidence = evidence_for(version)
    check_may_run(evidence, pinned_roster=evidence.rosters[0].digest, now=timezone.now())
    run = Run.objects.create(
        identifier=f"run-{secrets.token_hex(4)}",
        version=version,
        number=version.runs.count() + 1,
        requested_by=by,
    )
    entry = log.append(
        "run.requested",
        actor=by.member_id,
        subject=f"run:{run.identifier}",
        study=locked.identifier,
        data={"study_digest": version.digest},
    )
    run.log_index = entry.index
    run.save(update_fields=["log_index"])
    dispatch.advance(run.identifier)
    dispatch.hint(dispatch.study_group(locked.identifier))
    return run


@transaction.atomic
def cancel_run(*, run: Run, by: User) -> None:
    """End the run before it has a result; what sites had reserved for it they free."""
    locked = Run.objects.select_for_update().get(pk=run.pk)
    policies.check_can_cancel_run(locked, by)
    step = transition(Machine.RUN, locked.state, Run.State.CANCELLED, Actor.PI)
    locked.state, locked.state_since = Run.State.CANCELLED, timezone.now()
    locked.reason_code = "cancelled"
    locked.reason = sentence("cancelled", problem="its investigator stopped it")
    locked.save()
    log.append(
        step.event,
        actor=by.member_id,
        subject=f"run:{locked.identifier}",
        study=locked.study.identifier,
        data={},
    )
    dispatch.advance(locked.identifier)
    dispatch.hint(dispatch.study_group(locked.study.identifier))
    run.state = locked.state
