"""What waits for a person, what is under way, what is done: the lists of the home page."""

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Max
from django.utils import timezone

from accounts.models import Site, User
from accounts.permissions import permissions_of
from governance import policies
from governance.models import ComputationClass, Release, RosterVersion, Run, StudyApproval
from governance.pages.situation import Headline, headlines_of
from governance.queries import agreements, releases_of
from governance.states import OWNER, Machine
from studies.models import Study
from studies.queries import visible_to

_AUTHORS_TASKS = {
    Study.State.DRAFT: "Finish the draft and submit it",
    Study.State.RETURNED: "Amend the study as the committee asks",
}
# A ready study without a run under way or a result says so itself, or through its failed run.
_MAY_RUN = [Study.State.READY, Run.State.FAILED, Run.State.CANCELLED]


@dataclass(frozen=True)
class Item:
    """One line of a list: what it is about, what to do or how it stands, and where."""

    title: str
    text: str
    link: str
    since: datetime
    owner: str


@dataclass
class Worklist:
    """A person's three lists, each with the newest change first."""

    to_do: list[Item] = field(default_factory=list)
    in_progress: list[Item] = field(default_factory=list)
    done: list[Item] = field(default_factory=list)


def waiting_for(user: User) -> Worklist:
    """Return the person's lists, over the studies and classes that they may see.

    *Cost* a few queries for all studies, and a few more for each that may wait for this person.
    """
    worklist = Worklist()
    person = _Person(user, permissions_of(user), _running_out(user))
    if "class.approve" in person.permissions:
        worklist.to_do.extend(_classes_to_decide(user))
    if "consent.sign" in person.permissions:
        worklist.to_do.extend(_agreement_to_sign(user))
    studies = list(visible_to(user).prefetch_related("versions"))
    for study, headline in zip(studies, headlines_of(studies), strict=True):
        tasks = _tasks(study, headline, person)
        if tasks:
            worklist.to_do.extend(_item(study, headline, task) for task in tasks)
        elif headline.owner:
            worklist.in_progress.append(_item(study, headline, headline.label))
        else:
            worklist.done.append(_item(study, headline, headline.label))
    for items in (worklist.to_do, worklist.in_progress, worklist.done):
        items.sort(key=lambda item: item.since, reverse=True)
    return worklist


@dataclass(frozen=True)
class _Person:
    """Whose lists they are, and what tells quickly that a study does not wait for them."""

    user: User
    permissions: frozenset[str]
    running_out: frozenset[int]


def _running_out(user: User) -> frozenset[int]:
    """Return the versions of plans that the person has approved, but soon no longer does."""
    approvals = StudyApproval.objects.filter(signer=user, decision="approve").values("version")
    last = approvals.annotate(last=Max("valid_until"))
    soon = last.filter(last__lte=timezone.now() + policies.RENEWABLE)
    return frozenset(soon.values_list("version", flat=True))


def _tasks(study: Study, headline: Headline, person: _Person) -> list[str]:
    return [
        *_authors_tasks(study, headline, person.user),
        *_reviewers_tasks(study, person),
        *_stewards_tasks(study, headline, person),
        *_shares_to_release(study, headline, person),
        *_checkers_tasks(study, headline, person),
    ]


def _authors_tasks(study: Study, headline: Headline, user: User) -> list[str]:
    if study.author_id != user.pk:
        return []
    if study.state in _AUTHORS_TASKS:
        return [_AUTHORS_TASKS[Study.State(study.state)]]
    if headline.declined:
        return [f"Amend: {', '.join(headline.declined)} declined"]
    may_run = headline.state in _MAY_RUN and policies.can(policies.check_can_start_run, study, user)
    return ["Start a run"] if may_run else []


def _reviewers_tasks(study: Study, person: _Person) -> list[str]:
    blinded = study.state in policies.BLINDED
    if "study.review" not in person.permissions or not (
        blinded or study.current.pk in person.running_out
    ):
        return []
    if not policies.can(policies.check_can_review, study, person.user):
        return []
    return ["Review the study plan" if blinded else "Renew your approval of the study plan"]


def _stewards_tasks(study: Study, headline: Headline, person: _Person) -> list[str]:
    if "consent.sign" not in person.permissions or study.state != Study.State.APPROVED:
        return []
    return [
        f"Decide about the consent of {site}"
        for site in study.current.sites.filter(organisation=person.user.organisation_id)
        if site.slug not in headline.declined
        and policies.can(policies.check_can_consent, study, site, "decline", person.user)
    ]


def _shares_to_release(study: Study, headline: Headline, person: _Person) -> list[str]:
    if "consent.sign" not in person.permissions or headline.state != Release.State.OPENING:
        return []
    return [
        f"Release the share of {site}"
        for release in releases_of(study).filter(state=Release.State.OPENING)
        for site in Site.objects.filter(organisation=person.user.organisation_id)
        if policies.can(policies.check_can_release_share, release, site, person.user)
    ]


def _checkers_tasks(study: Study, headline: Headline, person: _Person) -> list[str]:
    if "output.check" not in person.permissions or headline.state != Release.State.OPENED:
        return []
    return [
        f"Check the output of {release.run}"
        for release in releases_of(study).filter(state=Release.State.OPENED)
        if policies.can(policies.check_can_check_output, release, person.user)
    ]


def _classes_to_decide(user: User) -> list[Item]:
    return [
        Item(
            title=str(proposed),
            text="Decide about the computation class",
            link=f"/classes/{proposed.name}/{proposed.version}/",
            since=proposed.state_since,
            owner=OWNER[Machine.CLASS, proposed.state],
        )
        for proposed in ComputationClass.objects.filter(
            state=ComputationClass.State.PROPOSED
        ).exclude(approvals__signer=user)
    ]


def _agreement_to_sign(user: User) -> list[Item]:
    if not RosterVersion.objects.exists():
        return []
    return [
        Item(
            title="Agreement",
            text=stands.reason,
            link="/agreement/",
            since=RosterVersion.objects.latest("version").published_at,
            owner="With: data steward",
        )
        for stands in agreements()
        if stands.organisation == user.organisation and not stands.signed
    ]


def _item(study: Study, headline: Headline, text: str) -> Item:
    return Item(
        title=study.title,
        text=text,
        link=f"/studies/{study.identifier}/",
        since=headline.since,
        owner=headline.owner,
    )
