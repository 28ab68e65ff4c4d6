"""What a person can do about a study now, and why not where they cannot."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from accounts.errors import ActionError
from accounts.models import Site, User
from accounts.permissions import has_permission
from governance import policies
from governance.errors import GovernanceError
from governance.models import Release, Run
from governance.queries import declines_of, releases_of
from studies.actions import check_can_edit
from studies.models import Study
from studies.queries import shown_version


@dataclass(frozen=True)
class Offer:
    """One thing to do: a link, or a button that posts. `reason` says why it cannot be done now.

    A `task` is what the study waits for from this person; `consequence` what it leads to. What is
    hard to undo `asks` again before it is done.
    """

    label: str
    href: str
    posts: bool = False
    task: bool = False
    danger: bool = False
    asks: bool = False
    consequence: str = ""
    reason: str = ""


def offers_for(study: Study, user: User) -> list[Offer]:
    """Return what this person can or could do about the study, what is most pressing first."""
    found = [
        *_authors_offers(study, user),
        *_reviewers_offers(study, user),
        *_stewards_offers(study, user),
        *_results(study, user),
    ]
    if has_permission(user, "study.propose"):
        found.append(Offer("Copy into a new draft", _to("study-duplicate", study), posts=True))
    return sorted(found, key=lambda offer: (bool(offer.reason), not offer.task, offer.danger))


def _authors_offers(study: Study, user: User) -> list[Offer]:
    if study.author_id != user.pk:
        return []
    succeeded = Run.objects.filter(version=study.current, state=Run.State.SUCCEEDED).exists()
    found = [
        _offer(
            Offer(
                "Submit for review",
                _to("study-submit", study),
                posts=True,
                task=True,
                consequence="From then on nobody can change this version, you included.",
            ),
            policies.check_can_submit,
            study,
            user,
        ),
        _offer(Offer("Edit the draft", _to("study-edit", study)), check_can_edit, study, user),
        _offer(
            Offer(
                "Start a run" if not succeeded else "Start another run",
                _to("study-start", study),
                posts=True,
                task=not succeeded,
                consequence="Each run draws new noise and is charged to every site's budget.",
            ),
            policies.check_can_start_run,
            study,
            user,
        ),
        _offer(
            Offer(
                "Amend the plan",
                _to("study-amend", study),
                posts=True,
                task=study.state == Study.State.RETURNED or bool(declines_of([study])),
                asks=True,
                consequence="This makes a new version. Reviews and consents must be given anew.",
            ),
            policies.check_can_amend,
            study,
            user,
        ),
        _offer(
            Offer(
                "Withdraw the study",
                _to("study-withdraw", study),
                posts=True,
                danger=True,
                asks=True,
                consequence="This ends the study for good.",
            ),
            policies.check_can_withdraw,
            study,
            user,
        ),
    ]
    return found + _runs_to_cancel(study, user)


def _runs_to_cancel(study: Study, user: User) -> list[Offer]:
    runs = study.current.runs.filter(state__in=policies.ACTIVE_RUNS)
    return [
        Offer("Watch the run", reverse("study-run", args=[study.identifier, run.identifier]))
        for run in runs
        if policies.can(policies.check_can_cancel_run, run, user)
    ]


def _reviewers_offers(study: Study, user: User) -> list[Offer]:
    if not has_permission(user, "study.review"):
        return []
    review = Offer("Review the study", _to("study-review", study), task=True)
    return [_offer(review, policies.check_can_review, study, user)]


def _stewards_offers(study: Study, user: User) -> list[Offer]:
    if not has_permission(user, "consent.sign"):
        return []
    found = []
    for site in shown_version(study, user).sites.filter(organisation=user.organisation_id):
        href = reverse("study-consent", args=[study.identifier, site.slug])
        given = policies.can(policies.check_can_consent, study, site, "withdraw", user)
        label = f"Consent of {site}: renew or withdraw" if given else f"Decide for {site}"
        found.append(
            _offer(
                Offer(label, href, task=not given),
                policies.check_can_consent,
                study,
                site,
                "withdraw" if given else "consent",
                user,
            )
        )
    return [*_shares(study, user), *found]


def _shares(study: Study, user: User) -> list[Offer]:
    """Return the shares that wait for this steward's release."""
    return [
        Offer(
            f"Release the share of {site}",
            reverse("study-share", args=[study.identifier, release.run.identifier, site.slug]),
            task=True,
        )
        for release in releases_of(study).filter(state=Release.State.OPENING)
        for site in Site.objects.filter(organisation=user.organisation_id)
        if policies.can(policies.check_can_release_share, release, site, user)
    ]


def _results(study: Study, user: User) -> list[Offer]:
    found = []
    for release in releases_of(study).select_related("run__version__study"):
        href = reverse("study-release", args=[study.identifier, release.run.identifier])
        name = f"run {release.run.number}"
        if policies.can(policies.check_can_check_output, release, user):
            found.append(Offer(f"Check the result of {name}", href, task=True))
        elif policies.can(policies.check_can_read_result, release, user):
            visible = release.state == Release.State.VISIBLE
            found.append(Offer(f"Read the result of {name}", href, task=visible))
    return found


def _offer(offer: Offer, check: Callable[..., None], *arguments: Any) -> Offer:
    """Return `offer`, with the reason where `check` finds one."""
    try:
        check(*arguments)
    except (ActionError, GovernanceError) as error:
        return Offer(**{**vars(offer), "reason": error.sentence, "task": False})
    return offer


def _to(name: str, study: Study) -> str:
    return reverse(name, args=[study.identifier])
