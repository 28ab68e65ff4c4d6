"""Tell people what happened and what they have to do: in the portal, and by e-mail on commit.

A text names the study by its title and says who acts next. Never a figure, a cohort's size or a
result: e-mail leaves the building.
"""

import logging
from collections.abc import Iterable

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import QuerySet

from accounts.models import User
from accounts.roles import Role
from governance.models import Notification, Release, Run
from studies.models import Study

logger = logging.getLogger(__name__)


def study_submitted(study: Study) -> None:
    """Tell the committee that a study waits for review."""
    _tell(_committee().exclude(pk=study.author_id), study, "waits for your review")


def more_review_needed(study: Study) -> None:
    """Tell the committee that the reviewers disagree."""
    _tell(_committee().exclude(pk=study.author_id), study, "needs one more review")


def study_approved(study: Study) -> None:
    """Tell the stewards that a study waits for their sites' consent, and its author how it went."""
    _tell(stewards(study), study, "is approved and waits for your site's consent")
    _tell([study.author], study, "is approved and waits for the sites' consent")


def study_ready(study: Study) -> None:
    """Tell the author that every site has consented."""
    _tell([study.author], study, "is ready to run")


def consent_lost(study: Study) -> None:
    """Tell the author that a site takes no part as things stand."""
    _tell([study.author], study, "lacks the consent of a site")


def study_returned(study: Study) -> None:
    """Tell the author that the committee asks for changes."""
    _tell([study.author], study, "was returned for changes")


def study_rejected(study: Study) -> None:
    """Tell the author that the committee rejected the study."""
    _tell([study.author], study, "was rejected")


def run_ended_badly(run: Run) -> None:
    """Tell the author and the stewards that a run failed or a site refused it."""
    people = [run.study.author, *stewards(run.study)]
    what = f"has a run that did not finish: {run.reason}"[:180]
    _tell(people, run.study, what.rstrip("."))  # the reason is a sentence


def share_awaits_release(release: Release, site: str) -> None:
    """Tell a site's stewards that its policy has one of them let the share go."""
    study = release.run.study
    people = stewards(study).filter(organisation__site__slug=site)
    _tell(people, study, f"waits for you to release the share of {site}")


def result_opened(release: Release) -> None:
    """Tell the output checkers that a noised result waits for their checks."""
    study = release.run.study
    _tell(_with_role(Role.CHECKER).exclude(pk=study.author_id), study, "waits for output checks")


def result_visible(release: Release) -> None:
    """Tell the author that the result may be read."""
    _tell([release.run.study.author], release.run.study, "has a result for you")


def result_withheld(release: Release) -> None:
    """Tell the author that the result stays closed."""
    _tell([release.run.study.author], release.run.study, "has a result that was withheld")


def stewards(study: Study) -> "QuerySet[User]":
    """Return the data stewards of the sites in the study's current plan."""
    organisations = study.current.sites.values("organisation")
    return _with_role(Role.STEWARD).filter(organisation__in=organisations)


def _committee() -> "QuerySet[User]":
    return _with_role(Role.REVIEWER, Role.CHAIR)


def _with_role(*roles: Role) -> "QuerySet[User]":
    return User.objects.filter(is_active=True, memberships__role__in=roles).distinct()


def _tell(people: Iterable[User], study: Study, what: str) -> None:
    title = " ".join(study.title.split())[:100]  # one line: it becomes an e-mail's subject
    text, link = f"“{title}” {what}.", f"/studies/{study.identifier}/"
    people = list(people)
    Notification.objects.bulk_create(
        Notification(user=person, text=text[:300], link=link) for person in people
    )
    addresses = [person.email for person in people if person.email]
    transaction.on_commit(lambda: _send(addresses, text, link), robust=True)


def _send(addresses: list[str], text: str, link: str) -> None:
    """Send one message to each; a mail server that is down stops no study."""
    body = f"{text}\n\n{settings.PUBLIC_URL}{link}\n"
    for address in addresses:
        try:
            send_mail(f"Quorate: {text}", body, None, [address])
        except OSError:  # SMTP errors are OSErrors
            logger.exception("Could not send a notification; it stands in the portal.")
