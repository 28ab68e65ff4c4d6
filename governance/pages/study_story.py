"""What has happened to a study, told from the audit log: the timeline of its page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from accounts.models import User
from audit import log
from audit.entry import Entry

LONGEST = 200
"""Entries shown; the audit pages have them all."""


@dataclass(frozen=True)
class Moment:
    """One thing that happened; `tone` is done, bad or empty, as the timeline shows it."""

    title: str
    text: str
    at: datetime
    tone: str
    href: str


# What happened, as a sentence; {who} did it, {site} is the site that the entry names.
_TOLD: Mapping[str, tuple[str, str]] = {
    "study.created": ("{who} drafted the study", ""),
    "study.amended": ("{who} changed the plan", ""),
    "study.submitted": ("{who} submitted it to the committee", ""),
    "study.review_signed": ("{who} signed a review", ""),
    "study.approved": ("The committee approved it", "done"),
    "study.returned": ("The committee returned it for changes", "bad"),
    "study.rejected": ("The committee rejected it", "bad"),
    "study.conflicted": ("The reviewers disagreed: one more review is needed", ""),
    "study.ready": ("Every site has consented", "done"),
    "study.withdrawn": ("{who} withdrew the study", "bad"),
    "study.expired": ("The plan expired", "bad"),
    "consent.given": ("{who} consented for {site}", "done"),
    "consent.declined": ("{who} declined for {site}", "bad"),
    "consent.withdrawn": ("{who} withdrew the consent of {site}", "bad"),
    "run.requested": ("{who} started a run", ""),
    "run.refused": ("{site} refused the run", "bad"),
    "run.started": ("Every site accepted the run", ""),
    "run.sealed": ("The run succeeded; its result is sealed", "done"),
    "run.failed": ("The run failed", "bad"),
    "run.cancelled": ("{who} cancelled the run", "bad"),
    "release.permitted": ("The release gate permitted the opening", ""),
    "release.opened": ("The noised result was opened", ""),
    "release.check_signed": ("{who} signed an output check", ""),
    "release.visible": ("The result passed its checks", "done"),
    "release.withheld": ("The result was withheld", "bad"),
}


def story_of(study: str, *, with_links: bool) -> list[Moment]:
    """Return what happened to the study, the newest first; links lead auditors to the entries."""
    entries = log.entries(study=study, newest_first=True)[:LONGEST]
    actors = {entry.actor for entry in entries}
    names = {user.member_id: str(user) for user in User.objects.filter(member_id__in=actors)}
    return [_moment(entry, names, with_links) for entry in entries]


def _moment(entry: Entry, names: Mapping[str, str], with_links: bool) -> Moment:
    sentence, tone = _TOLD.get(entry.event, (entry.event, ""))
    site = entry.data.get("site", "a site")
    about, _, what = entry.subject.partition(":")
    return Moment(
        title=sentence.format(who=names.get(entry.actor, entry.actor), site=site),
        text=what if about == "run" else "",
        at=entry.created_at,
        tone=tone,
        href=reverse("audit-entry", args=[entry.index]) if with_links else "",
    )
