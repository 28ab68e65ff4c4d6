"""Plans whose time is over: nobody asks for it, so the coordinator looks now and then."""

from datetime import datetime

from governance.actions import expire_study
from studies.models import Study

_MAY_EXPIRE = [Study.State.APPROVED, Study.State.READY]


def expire_due(*, now: datetime) -> int:
    """Mark every approved study expired whose plan was over at `now`; return how many were.

    *Cost*: one plan is read for each approved study.
    """
    approved = Study.objects.filter(state__in=_MAY_EXPIRE).order_by("pk")
    return sum(expire_study(study=study, now=now) for study in approved)
