"""What waits for a person, what is under way, what is done: the lists of the home page."""

from dataclasses import dataclass, field
from datetime import datetime

from accounts.models import User
from accounts.permissions import has_permission
from governance import policies
from governance.models import ComputationClass, Release, Run
from governance.queries import owner_of, releases_of
from studies.models import Study
from studies.queries import visible_to

_OVER = [Study.State.REJECTED, Study.State.WITHDRAWN, Study.State.EXPIRED]
_AUTHORS_TASKS = {
    Study.State.DRAFT: "Finish the draft and submit it",
    Study.State.RETURNED: "Amend the study as the committee asks",
}


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
    """Return the person's lists, over the studies and classes that they may see."""
    worklist = Worklist()
    if has_permission(user, "class.approve"):
        worklist.to_do.extend(_classes_to_decide(user))
    for study in visible_to(user):
        tasks = tasks_of(study, user)
        if tasks:
            worklist.to_do.extend(_item(study, task) for task in tasks)
        elif _is_over(study):
            worklist.done.append(_item(study, study.get_state_display()))
        else:
            worklist.in_progress.append(_item(study, study.get_state_display()))
    for items in (worklist.to_do, worklist.in_progress, worklist.done):
        items.sort(key=lambda item: item.since, reverse=True)
    return worklist


def tasks_of(study: Study, user: User) -> list[str]:
    """Return what the person has to do about the study now, in plain words."""
    tasks = []
    if study.author_id == user.pk:
        if study.state in _AUTHORS_TASKS:
            tasks.append(_AUTHORS_TASKS[Study.State(study.state)])
        succeeded = Run.objects.filter(version=study.current, state=Run.State.SUCCEEDED)
        if policies.can(policies.check_can_start_run, study, user) and not succeeded.exists():
            tasks.append("Start a run")
    if policies.can(policies.check_can_review, study, user):
        tasks.append("Review the study plan")
    if study.state == Study.State.APPROVED:
        tasks.extend(
            f"Decide about the consent of {site}"
            for site in study.current.sites.filter(organisation=user.organisation_id)
            if policies.can(policies.check_can_consent, study, site, "decline", user)
        )
    tasks.extend(
        f"Check the output of {release.run}"
        for release in releases_of(study).filter(state=Release.State.OPENED)
        if policies.can(policies.check_can_check_output, release, user)
    )
    return tasks


def _classes_to_decide(user: User) -> list[Item]:
    return [
        Item(
            title=str(proposed),
            text="Decide about the computation class",
            link=f"/classes/{proposed.name}/{proposed.version}/",
            since=proposed.state_since,
            owner="With: governance committee",
        )
        for proposed in ComputationClass.objects.filter(state=ComputationClass.State.PROPOSED)
        if not proposed.approvals.filter(signer=user).exists()
    ]


def _item(study: Study, text: str) -> Item:
    return Item(
        title=study.title,
        text=text,
        link=f"/studies/{study.identifier}/",
        since=study.state_since,
        owner=owner_of(study),
    )


def _is_over(study: Study) -> bool:
    if study.state in _OVER:
        return True
    ended = [Release.State.VISIBLE, Release.State.WITHHELD]
    return study.state == Study.State.READY and releases_of(study).filter(state__in=ended).exists()
