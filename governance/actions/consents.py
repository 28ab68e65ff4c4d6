"""A site's consent: given, declined or withdrawn by its steward."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.errors import ActionRefusedError, InvalidFieldsError
from accounts.models import Site, User
from audit import log
from audit.entry import Entry
from governance import dispatch, notifications, policies
from governance.actions.studies import lock
from governance.models import Consent
from governance.moves import move_study
from governance.queries import consents_of, current_roster, newest_consent
from governance.signed import SignedStatement, read_signed
from governance.standing import age
from governance.statement_requests import consent_fields
from governance.statements.decisions import Consent as ConsentDecision
from governance.states import START, Actor, Machine, transition
from studies.documents import parse_moment
from studies.models import Study

_STEWARDS = frozenset({"steward"})


@transaction.atomic
def sign_consent(*, study: Study, envelope: Mapping[str, Any], by: User | None) -> Consent:
    """Return the stored decision; the study becomes ready, or stops being so.

    `by` is None when the statement came through the site's agent. The same envelope twice is
    stored once. A withdrawal reaches the runs under way at once.

    *Raises* StatementError, NotPermittedError, ActionRefusedError.
    """
    locked = lock(study)
    roster = current_roster()
    signed = read_signed(
        ConsentDecision,
        envelope,
        expected=consent_fields(locked),
        roles=_STEWARDS,
        roster=roster,
        by=by,
        now=timezone.now(),
    )
    if stored := Consent.objects.filter(digest=signed.envelope.digest).first():
        return stored
    site = Site.objects.filter(slug=signed.decision.site).first()
    if site is None:
        raise InvalidFieldsError({"site": f"There is no site called {signed.decision.site}."})
    policies.check_can_consent(locked, site, signed.decision.decision, signed.signer)
    _check_newest(locked, site, signed.decision)
    entry = _record(locked, site, signed)
    stored = Consent.objects.create(
        version=locked.current,
        site=site,
        valid_until=parse_moment(signed.decision.valid_until),
        log_index=entry.index,
        **signed.row,
    )
    _follow(locked, entry)
    study.state = locked.state
    return stored


def _check_newest(study: Study, site: Site, decision: ConsentDecision) -> None:
    """Raise for a decision dated before the one that stands: it would change nothing."""
    newest = newest_consent(study, site)
    if newest is not None and age(decision) < age(newest):
        raise ActionRefusedError(
            "statement_out_of_date",
            f"This statement is dated {decision.issued_at}, before the decision of {site} that"
            f" stands ({newest.issued_at}), so it would not count. Ask for it again and sign that.",
        )


def _record(study: Study, site: Site, signed: SignedStatement[ConsentDecision]) -> Entry:
    newest = study.current.consents.filter(site=site).order_by("-pk").first()
    before = newest.decision if newest else START
    step = transition(Machine.CONSENT, before, signed.decision.decision, Actor.STEWARD)
    return log.append(
        step.event,
        actor=signed.signer.member_id,
        subject=f"study:{study.identifier}",
        study=study.identifier,
        data={
            "study_digest": study.current.digest,
            "statement_digest": signed.envelope.digest,
            "site": site.slug,
        },
    )


def _follow(study: Study, recorded: Entry) -> None:
    """Move the study as its sites' decisions have it."""
    complete = all(consent.given for consent in consents_of(study.current))
    if complete and study.state == Study.State.APPROVED:
        move_study(study, Study.State.READY, actor=Actor.SYSTEM)
        notifications.study_ready(study)
    elif not complete and study.state == Study.State.READY:
        move_study(study, Study.State.APPROVED, actor=Actor.SYSTEM, recorded=recorded)
        notifications.consent_lost(study)
    for run in study.current.runs.filter(state__in=policies.ACTIVE_RUNS):
        dispatch.advance(run.identifier)
    dispatch.hint(dispatch.study_group(study.identifier))
