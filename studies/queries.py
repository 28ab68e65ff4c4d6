"""Which studies a person may know of. What they may not is answered like what does not exist."""

from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.permissions import permissions_of
from studies.models import Study, StudyVersion

_APPROVED_ONCE = [Study.State.APPROVED, Study.State.READY, Study.State.EXPIRED]


def visible_to(user: User) -> QuerySet[Study]:
    """Return the studies that the person may see, newest first.

    The author sees their own; the committee, and the stewards of sites in a plan, those that
    have left the drafting table; output checkers those approved; auditors all.
    """
    permissions = permissions_of(user)
    studies = Study.objects.select_related("author__organisation").order_by("-created_at", "-pk")
    if "study.view" not in permissions:
        return studies.none()
    if "audit.view" in permissions:
        return studies
    seen = Q(author=user)
    versions = StudyVersion.objects.filter(submitted_at__isnull=False)
    submitted = ~Q(state=Study.State.DRAFT) & Q(pk__in=versions.values("study"))
    if "study.review" in permissions:
        seen |= submitted
    if "consent.sign" in permissions:
        concerned = versions.filter(sites__organisation=user.organisation_id)
        seen |= submitted & Q(pk__in=concerned.values("study"))
    if "output.check" in permissions:
        seen |= Q(state__in=_APPROVED_ONCE)
    return studies.filter(seen)
