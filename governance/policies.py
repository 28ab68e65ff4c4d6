"""Whether the situation allows it: `check_can_x` raises the reason, `can` derives the answer.

Permissions say who may ever do a thing; a policy says whether this person may do it to this object
now. Its sentence is what pages and the API show.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import ActionRefusedError, NotPermittedError
from accounts.models import Organisation, Site, User
from accounts.permissions import check_permission
from governance.errors import GovernanceError
from governance.models import Agreement, ComputationClass, Consent, Release, Run
from studies.actions import plan_of
from studies.documents import parse_moment
from studies.models import Study

ACTIVE_RUNS = [Run.State.PENDING, Run.State.RUNNING]
BLINDED = [Study.State.IN_REVIEW, Study.State.CONFLICTED]
"""States in which a reviewer must not be swayed by what others have written."""
RENEWABLE = timedelta(days=7)
"""How long before its end an approval can be given anew."""
_OPEN_TO_CONSENT = [Study.State.APPROVED, Study.State.READY]
_DECIDABLE = {
    "approve": [ComputationClass.State.PROPOSED, ComputationClass.State.APPROVED],
    "reject": [ComputationClass.State.PROPOSED],
    "revoke": [ComputationClass.State.APPROVED],
}
_OPENED_ONCE = [Release.State.OPENED, Release.State.DECIDED, Release.State.VISIBLE]
_UNDECIDED = [
    Release.State.SEALED,
    Release.State.OPENING,
    Release.State.OPENED,
    Release.State.DECIDED,
]
_AMENDABLE = [Study.State.RETURNED, Study.State.APPROVED, Study.State.READY]
_WITHDRAWABLE = [
    Study.State.DRAFT,
    *BLINDED,
    Study.State.RETURNED,
    *_OPEN_TO_CONSENT,
]


def can(check: Callable[..., None], *arguments: Any) -> bool:
    """Tell whether `check(*arguments)` raises nothing, as in `can(check_can_review, study, by)`."""
    try:
        check(*arguments)
    except (ActionRefusedError, GovernanceError):
        return False
    return True


def check_can_decide_class(computation_class: ComputationClass, decision: str, by: User) -> None:
    """Raise unless `by` may sign `decision` about the class now.

    Of an approved class the approvals are renewed, by whoever has given none that lasts.
    """
    check_permission(by, "class.approve")
    state = ComputationClass.State(computation_class.state)
    if state not in _DECIDABLE[decision]:
        _refuse("wrong_state", f"This class is {state.label.lower()}: it waits for no {decision}.")
    signed = computation_class.approvals.filter(signer=by, decision=decision)
    if state == ComputationClass.State.APPROVED and decision == "approve":
        signed = _lasting(signed)
    if signed.exists():
        _refuse("signed_already", "You have signed this decision already.")


def check_can_submit(study: Study, by: User) -> None:
    """Raise unless `by` may submit the draft: its class approved, its time not over."""
    _check_author(study, by)
    check_permission(by, "study.propose")
    _check_state(study, [Study.State.DRAFT], "submitted")
    plan = plan_of(study.current)
    named = plan.class_reference
    approved = ComputationClass.objects.filter(
        digest=named.digest, state=ComputationClass.State.APPROVED
    )
    if not approved.exists():
        _refuse(
            "class_not_approved",
            f"The computation class {named} is not approved. With: governance committee.",
        )
    if parse_moment(plan.expires_at) <= timezone.now():
        _refuse("plan_expired", f"The plan expires on {plan.expires_at}. Choose a later day.")
    missing = [site.slug for site in study.current.sites.filter(identity_key="")]
    if missing:
        _refuse(
            "site_not_enrolled",
            f"{', '.join(missing)} has not enrolled its agent. With: site operator.",
        )


def check_can_review(study: Study, by: User) -> None:
    """Raise unless `by` may review the current version now, or renew an approval that runs out."""
    check_permission(by, "study.review")
    if study.author_id == by.pk:
        raise NotPermittedError("own_study", "Nobody reviews their own study.")
    reviews = study.current.approvals.filter(signer=by)
    if study.state in _OPEN_TO_CONSENT and reviews.filter(decision="approve").exists():
        reviews = _lasting(reviews)
    else:
        _check_state(study, BLINDED, "reviewed")
    if reviews.exists():
        _refuse("signed_already", "You have reviewed this version already.")


def check_can_renew(study: Study, decision: str) -> None:
    """Raise for any decision but approval about a study that has been approved."""
    if study.state not in BLINDED and decision != "approve":
        _refuse(
            "renewal_only",
            "This study has been approved, and an approval can only be renewed now. A data steward"
            " can withdraw a site's consent, the committee can revoke the class.",
        )


def check_can_consent(study: Study, site: Site, decision: str, by: User) -> None:
    """Raise unless `by` may sign `decision` for `site` about the current version now."""
    check_permission(by, "consent.sign")
    if site.organisation_id != by.organisation_id:
        raise NotPermittedError("other_site", f"Only a data steward of {site} decides for it.")
    if study.author_id == by.pk:
        raise NotPermittedError("own_study", "Nobody consents to their own study.")
    _check_state(study, _OPEN_TO_CONSENT, "consented to")
    if not study.current.sites.filter(pk=site.pk).exists():
        _refuse("site_not_in_plan", f"{site} is not among the sites of this study plan.")
    newest = Consent.objects.filter(version=study.current, site=site).order_by("-pk").first()
    given = newest is not None and newest.decision == "consent"
    if decision == "withdraw" and not given:
        _refuse("no_consent", f"{site} has not consented, so there is nothing to withdraw.")
    if decision == "decline" and given:
        _refuse("consent_given", f"{site} has consented; withdraw the consent instead.")


def check_can_sign_agreement(organisation: Organisation, decision: str, by: User) -> None:
    """Raise unless `by` may sign, renew or end the agreement for `organisation` now."""
    check_permission(by, "consent.sign")
    if organisation.pk != by.organisation_id:
        raise NotPermittedError(
            "other_organisation", f"Only a data steward of {organisation} signs for it."
        )
    newest = Agreement.objects.filter(organisation=organisation).order_by("-pk").first()
    signed = newest is not None and newest.decision == "sign"
    if decision == "end" and not signed:
        _refuse("no_agreement", f"{organisation} has signed no agreement, so there is none to end.")


def check_can_start_run(study: Study, by: User) -> None:
    """Raise unless `by` may start a run: ready, none active, runs left."""
    _check_author(study, by)
    check_permission(by, "run.start")
    _check_state(study, [Study.State.READY], "run")
    version = study.current
    if version.runs.filter(state__in=ACTIVE_RUNS).exists():
        _refuse("run_active", "A run of this study is under way. Wait for it, or cancel it.")
    allowed = plan_of(version).max_runs
    used = version.runs.filter(state__in=[*ACTIVE_RUNS, Run.State.SUCCEEDED]).count()
    if used >= allowed:
        _refuse(
            "plan_runs_exhausted",
            f"All runs that the study plan allows ({allowed}) have been used. Amend it for more.",
        )


def check_can_cancel_run(run: Run, by: User) -> None:
    """Raise unless `by` may cancel `run` now."""
    _check_author(run.study, by)
    check_permission(by, "run.start")
    if run.state not in ACTIVE_RUNS:
        _refuse("run_over", f"This run has {Run.State(run.state).label.lower()} already.")


def check_can_amend(study: Study, by: User) -> None:
    """Raise unless `by` may make a new version of the study, which voids its approvals.

    While a result is on its way it waits for those who decide about it.
    """
    _check_author(study, by)
    check_permission(by, "study.propose")
    _check_state(study, _AMENDABLE, "amended")
    _check_no_active_run(study)
    undecided = Release.objects.filter(run__version__study=study, state__in=_UNDECIDED).first()
    if undecided is not None:
        label = Release.State(undecided.state).label.lower()
        _refuse(
            "release_undecided",
            f"The result of {undecided.run} is {label}. Wait until it is released or withheld, then"
            " amend the plan.",
        )


def check_can_withdraw(study: Study, by: User) -> None:
    """Raise unless `by` may withdraw the study for good."""
    _check_author(study, by)
    check_permission(by, "study.propose")
    _check_state(study, _WITHDRAWABLE, "withdrawn")
    _check_no_active_run(study)


def check_can_check_output(release: Release, by: User) -> None:
    """Raise unless `by` may sign an output check of the opened result now."""
    check_permission(by, "output.check")
    if release.run.study.author_id == by.pk:
        raise NotPermittedError("own_study", "Nobody checks the output of their own study.")
    if release.state != Release.State.OPENED:
        label = Release.State(release.state).label.lower()
        _refuse("not_opened", f"This result is {label}: there is nothing to check now.")
    if release.checks.filter(signer=by).exists():
        _refuse("signed_already", "You have checked this result already.")


def check_can_release_share(release: Release, site: Site, by: User) -> None:
    """Raise unless `by` may say now whether the share of `site` may go."""
    check_permission(by, "consent.sign")
    if site.organisation_id != by.organisation_id:
        raise NotPermittedError("other_site", f"Only a data steward of {site} decides for it.")
    if release.run.study.author_id == by.pk:
        raise NotPermittedError("own_study", "Nobody releases a share for their own study.")
    if release.state != Release.State.OPENING or site.slug not in release.awaiting:
        _refuse("not_awaiting", f"The share of {site} in {release.run} waits for nobody's release.")
    if release.site_releases.filter(site=site).exists():
        _refuse("signed_already", f"A data steward of {site} has decided about this share.")


def check_can_read_result(release: Release, by: User) -> None:
    """Raise unless `by` may read the noised result now.

    The author reads it once it is visible; output checkers as soon as it is opened, to check it.
    Nobody else ever does through the portal: a result belongs to its study.
    """
    if release.run.study.author_id == by.pk:
        if release.state != Release.State.VISIBLE:
            label = Release.State(release.state).label.lower()
            _refuse("not_visible", f"This result is {label}: it may not be read yet.")
        return
    check_permission(by, "output.check")
    if release.state not in _OPENED_ONCE:
        _refuse("not_opened", "This result has not been opened: nobody can read it.")


def check_can_export_evidence(study: Study) -> None:
    """Raise while the evidence would show reviewers each other's reviews."""
    if study.state in BLINDED:
        _refuse(
            "reviews_blinded",
            "Reviews are blinded until all are in; the evidence can be exported after that.",
        )


def _lasting(decisions: "QuerySet[Any]") -> "QuerySet[Any]":
    """Return those of the signed decisions that do not run out soon."""
    return decisions.filter(valid_until__gt=timezone.now() + RENEWABLE)


def _check_author(study: Study, by: User) -> None:
    if study.author_id != by.pk:
        raise NotPermittedError("not_author", "Only the study's author may do this.")


def _check_state(study: Study, states: list[Study.State], done: str) -> None:
    if study.state not in states:
        label = Study.State(study.state).label.lower()
        _refuse("wrong_state", f"This study is {label}, so it cannot be {done} now.")


def _check_no_active_run(study: Study) -> None:
    if Run.objects.filter(version__study=study, state__in=ACTIVE_RUNS).exists():
        _refuse("run_active", "A run of this study is under way. Wait for it, or cancel it.")


def _refuse(code: str, sentence: str) -> None:
    raise ActionRefusedError(code, sentence)
