"""What every page's frame shows: where this person may go."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.models import User
from accounts.permissions import permissions_of
from governance.models import Notification


@dataclass(frozen=True)
class Item:
    """One entry of the main navigation."""

    label: str
    href: str
    current: bool
    count: int = 0


# Label, url name, and the permission that the page needs.
_PAGES = (
    ("Home", "home", "home"),
    ("Studies", "studies", "study.view"),
    ("Classes", "classes", "class.view"),
    ("Roster", "roster", "roster.view"),
    ("People", "people", "people.manage"),
    ("Audit", "audit", "audit.view"),
)


def context(request: HttpRequest) -> Mapping[str, Any]:
    """Return `navigation` and `permissions`, what the person may do, for templates to ask."""
    user = getattr(request, "user", None)
    if not isinstance(user, User):
        return {"navigation": [], "permissions": frozenset()}
    permissions = permissions_of(user)
    unread = Notification.objects.filter(user=user, read_at=None).count()
    return {
        "permissions": permissions,
        "navigation": [
            Item(
                label,
                href := reverse(name),
                request.path == href or (href != "/" and request.path.startswith(href)),
                unread if name == "home" else 0,
            )
            for label, name, permission in _PAGES
            if permission in permissions
        ],
    }
