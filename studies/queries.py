"""Which studies a person may know of. What they may not is answered like what does not exist."""

from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.permissions import permissions_of
from studies.models import Study, StudyVersion

_APPROVED_NOW = [Study.State.APPROVED, Study.State.READY, Study.State.EXPIRED]
# Only a plan that was approved gets consents and runs. (Their models stand in `governance`.)
_APPROVED_ONCE = Q(consents__isnull=False) | Q(runs__isnull=False)


def visible_to(user: User) -> QuerySet[Study]:
    """Return the studies that the person may see, newest first.

    The author sees their own; the committee, and the stewards of sites in a submitted plan, those
    ever submitted; output checkers those ever approved; auditors all. Nobody loses a study by its
    amendment: they see it as `shown_version` has it.
    """
    permissions = permissions_of(user)
    studies = Study.objects.select_related("author__organisation").order_by("-created_at", "-pk")
    if "study.view" not in permissions:
        return studies.none()
    if "audit.view" in permissions:
        return studies
    seen = Q(author=user)
    submitted = StudyVersion.objects.filter(submitted_at__isnull=False)
    if "study.review" in permissions:
        seen |= Q(pk__in=submitted.values("study"))
    if "consent.sign" in permissions:
        concerned = submitted.filter(sites__organisation=user.organisation_id)
        seen |= Q(pk__in=concerned.values("study"))
    if "output.check" in permissions:
        approved = submitted.filter(_APPROVED_ONCE)
        seen |= Q(state__in=_APPROVED_NOW) | Q(pk__in=approved.values("study"))
    return studies.filter(seen)


def shown_versions(study: Study, user: User) -> list[StudyVersion]:
    """Return the versions of the plan that the person may read, the newest first; never none.

    Once a version has been submitted, a later draft is for its author alone.

    *Cost* a query, unless versions are prefetched.
    """
    versions = sorted(study.versions.all(), key=lambda version: version.number, reverse=True)
    submitted = [version for version in versions if version.submitted_at is not None]
    return versions if study.author_id == user.pk or not submitted else submitted


def shown_version(study: Study, user: User) -> StudyVersion:
    """Return the version of the plan by which the person knows the study: the newest they may read.

    For its author it is `study.current`, for others the newest submitted one.
    """
    return shown_versions(study, user)[0]
