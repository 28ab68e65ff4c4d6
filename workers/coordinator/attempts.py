"""The life of an attempt: what the portal itself does with a run, apart from what sites answer.

Every function locks the run first and the attempt second, and does nothing when it comes too
late: hints arrive twice, late or not at all.
"""

import logging
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.models import Site
from audit import log
from governance import dispatch, notifications
from governance.errors import GovernanceError, Refusal
from governance.evidence import check_may_run
from governance.evidence_store import evidence_for
from governance.models import Run
from governance.moves import SYSTEM
from governance.reasons import sentence
from governance.states import Actor, Machine, transition
from studies.documents import format_moment
from studies.plan import StudyPlan
from workers.coordinator.models import Attempt, AttemptParty

logger = logging.getLogger(__name__)

UNFINISHED = (Attempt.State.OFFERING, Attempt.State.ACCEPTING, Attempt.State.COMPUTING)


@dataclass(frozen=True)
class Failure:
    """Why an attempt ends: a code of `governance.reasons`, its sentence, the site if one is named.

    `refused` tells a site's refusal, made on the evidence, from what went wrong on the way.
    """

    code: str
    sentence: str
    site: str = ""
    refused: bool = False

    @property
    def actor(self) -> str:
        """Whom the log names: the site that refused, else what follows from rules."""
        return f"site:{self.site}" if self.refused else SYSTEM

    @classmethod
    def of(cls, error: GovernanceError, *, site: str = "") -> "Failure":
        """Return the failure that `error` gives cause for, naming `site` or the one it names."""
        return cls(error.code, error.sentence, site or getattr(error, "site", ""))


@transaction.atomic
def advance(identifier: str) -> None:
    """Do what the run called `identifier` needs of the portal next; nothing if nothing.

    A new run gets its attempt; an attempt ends when its run was cancelled, its deadline has
    passed, or what permitted it no longer holds, such as a consent that was withdrawn.
    """
    run = Run.objects.select_for_update().get(identifier=identifier)
    attempt = run.attempts.select_for_update().order_by("number").last()
    if run.state not in (Run.State.PENDING, Run.State.RUNNING):
        if attempt is not None and attempt.state in UNFINISHED:
            _end(attempt)
        return
    if failure := _why_not(run, attempt):
        _fail(run, attempt, failure)
    elif attempt is None:
        _start(run)


@transaction.atomic
def fail_attempt(attempt: Attempt, failure: Failure) -> None:
    """End the attempt and its run, unless they are over: nothing restarts by itself.

    The other sites are told to stop; people are told why, in the words of the site that refused.
    """
    run = Run.objects.select_for_update().get(pk=attempt.run_id)
    attempt = Attempt.objects.select_for_update().get(pk=attempt.pk)
    if attempt.state in UNFINISHED:
        _fail(run, attempt, failure)


def lose(session: str, missing: Collection[str]) -> None:
    """End the attempt of `session` because these sites left the relay and did not come back.

    A site whose certificate is in has done its part and may leave.
    """
    attempt = Attempt.objects.filter(session=session, state=Attempt.State.COMPUTING).first()
    if attempt is None:
        return
    parties = attempt.parties.filter(site__slug__in=missing, certificate__isnull=True)
    sites = sorted(parties.values_list("site__slug", flat=True))
    if sites:
        reason = sentence("site_lost", site=" and ".join(sites))
        fail_attempt(attempt, Failure("site_lost", reason, sites[0]))


def begin_computing(attempt: Attempt) -> None:
    """Let the parties start: every site has accepted the manifest. The caller holds the locks."""
    attempt.state = Attempt.State.COMPUTING
    attempt.computing_since = timezone.now()
    attempt.save(update_fields=["state", "computing_since"])
    data = {"manifest_digest": attempt.manifest_digest}
    move_run(attempt.run, Run.State.RUNNING, data=data)


def unfinished_runs() -> list[str]:
    """Return the identifiers of the runs that `advance` may have something to do for."""
    waiting = Run.objects.filter(state__in=[Run.State.PENDING, Run.State.RUNNING])
    orphaned = Run.objects.filter(attempts__state__in=UNFINISHED)
    return sorted(set((waiting | orphaned).distinct().values_list("identifier", flat=True)))


def _why_not(run: Run, attempt: Attempt | None) -> Failure | None:
    """Return why the run may not go on, or None."""
    now = timezone.now()
    if attempt is not None and attempt.deadline_at <= now:
        moment = format_moment(attempt.deadline_at)
        return Failure("deadline_passed", sentence("deadline_passed", moment=moment))
    evidence = evidence_for(run.version)
    try:
        check_may_run(evidence, pinned_roster=evidence.rosters[0].digest, now=now)
    except Refusal as error:
        return Failure.of(error)
    return None


def _start(run: Run) -> None:
    plan = StudyPlan.parse(bytes(run.version.plan))
    sites = {site.slug: site for site in Site.objects.filter(slug__in=plan.sites)}
    patience = timedelta(seconds=settings.ATTEMPT_DEADLINE_SECONDS)
    attempt = Attempt.objects.create(
        run=run,
        number=1,
        session=secrets.token_hex(16),
        # Whole seconds, as the manifest writes it.
        deadline_at=(timezone.now() + patience).replace(microsecond=0),
    )
    AttemptParty.objects.bulk_create(
        AttemptParty(attempt=attempt, site=sites[slug], party=party)
        for party, slug in enumerate(plan.sites)
    )
    tell_everyone(run)


def _fail(run: Run, attempt: Attempt | None, failure: Failure) -> None:
    if attempt is not None:
        _end(attempt)
    run.reason_code, run.reason, run.reason_site = failure.code, failure.sentence, failure.site
    data = {"reason": failure.code, **({"site": failure.site} if failure.site else {})}
    by = Actor.SITE if failure.refused else Actor.SYSTEM
    move_run(run, Run.State.FAILED, by=by, actor=failure.actor, data=data)
    notifications.run_ended_badly(run)


def move_run(
    run: Run, target: str, *, data: Mapping[str, Any], by: Actor = Actor.SYSTEM, actor: str = SYSTEM
) -> None:
    """Move the run by its table and log it; the caller holds its lock in a transaction."""
    row = transition(Machine.RUN, run.state, target, by)
    run.state, run.state_since = target, timezone.now()
    run.save()
    log.append(
        row.event,
        actor=actor,
        subject=f"run:{run.identifier}",
        study=run.study.identifier,
        data=data,
    )
    tell_everyone(run)


def _end(attempt: Attempt) -> None:
    attempt.state = Attempt.State.FAILED
    attempt.save(update_fields=["state"])
    dispatch.hint(dispatch.AGENTS)


def tell_everyone(run: Run) -> None:
    """Hint, on commit, to the agents and to those who look at the study's page."""
    dispatch.hint(dispatch.AGENTS)
    dispatch.hint(dispatch.study_group(run.study.identifier))
