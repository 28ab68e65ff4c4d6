"""Who may call what: every view declares its permission here, and nothing undeclared is served.

A page is a function marked with `requires` or `public`; an API view is a class with an attribute
`permission`. `DefaultDenyMiddleware` enforces the first, `DeclaredPermission` the second, both
from the same `Declaration`. What a permission means on one object (one's *own* study, the consent
of one's *own* site) is decided by policies and queries, not here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.errors import NotPermittedError
from accounts.models import User
from accounts.roles import PERMISSIONS, ROLE_PERMISSIONS

if TYPE_CHECKING:
    from rest_framework.views import APIView  # at run time, DRF's views import this module

View = TypeVar("View", bound=Callable[..., Any])

PUBLIC = "public"
"""Declared by what anonymous people may call: the login page, the health check."""

_ATTRIBUTE = "declared_permission"
_READING = {"HEAD": "GET", "OPTIONS": "GET"}


@dataclass(frozen=True)
class Declaration:
    """The permission that each HTTP method of a view needs."""

    by_method: Mapping[str, str]

    def __post_init__(self) -> None:
        unknown = set(self.by_method.values()) - set(PERMISSIONS) - {PUBLIC}
        if unknown or not self.by_method:
            raise ValueError(
                f"expected permissions of accounts.roles.PERMISSIONS, got {sorted(unknown)}"
            )

    def needed(self, method: str) -> str | None:
        """Return the permission that `method` needs; None when the view does not serve it."""
        return self.by_method.get(_READING.get(method, method))


def has_permission(user: User | AnonymousUser, permission: str) -> bool:
    """Return whether one of the person's roles carries `permission`.

    *Security*: inactive and anonymous people never have one, and Django's superuser flag counts
    for nothing: a portal operator can neither decide nor read results.
    """
    return permission in permissions_of(user)


def check_permission(user: User | AnonymousUser, permission: str) -> None:
    """Raise NotPermittedError, which says what is missing, unless the person has `permission`."""
    if not has_permission(user, permission):
        raise NotPermittedError(
            "role_missing",
            f"None of your roles allows this. It needs: {PERMISSIONS[permission]}",
        )


def permissions_of(user: User | AnonymousUser) -> frozenset[str]:
    """Return every permission that the person's roles carry together."""
    if not isinstance(user, User) or not user.is_active:
        return frozenset()
    granted = (ROLE_PERMISSIONS[membership.role] for membership in user.memberships.all())
    return frozenset().union(*granted)


def signed_in(request: HttpRequest | Request) -> User:
    """Return the person who calls.

    *Raises* NotPermittedError for a stranger, who must never pass for the console (`by=None`).
    """
    if not isinstance(request.user, User):
        raise NotPermittedError("not_signed_in", "Sign in first.")
    return request.user


def requires(permission: str | None = None, **by_method: str) -> Callable[[View], View]:
    """Declare what a page needs: `@requires("study.view")` or `@requires(GET=..., POST=...)`.

    One permission alone covers GET and POST.
    """
    declared = by_method if permission is None else {"GET": permission, "POST": permission}
    return _declare(Declaration(declared))


def public(view: View) -> View:
    """Declare that anonymous people may call `view`."""
    return _declare(Declaration({"GET": PUBLIC, "POST": PUBLIC}))(view)


def declaration_of(view: Callable[..., Any]) -> Declaration | None:
    """Return what `view` (as a URL pattern names it) declares, or None when it declares nothing."""
    found = getattr(view, _ATTRIBUTE, None)
    if isinstance(found, Declaration):
        return found
    return _declared_by(api_class(view))


def api_class(view: Callable[..., Any]) -> "type[APIView] | None":
    """Return the API view class behind a URL pattern's callable; None for anything else.

    *Security*: only a class that `DeclaredPermission` guards counts, so an API view with other
    permission classes is not served unchecked: the middleware treats it as a page.
    """
    found = getattr(view, "cls", None)
    return found if DeclaredPermission in getattr(found, "permission_classes", ()) else None


class DeclaredPermission(BasePermission):
    """Let a request to the API pass when the person has what the view declares."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Return whether the caller may use this method of `view`; an undeclared one is refused.

        *Raises* NotPermittedError, which says what is missing, for a person who is signed in.
        """
        declaration = _declared_by(view)
        if declaration is None:
            return False
        needed = declaration.needed(request.method or "")
        if needed is None:
            # A method that the view does not serve: DRF answers 405 to those who are known.
            return bool(request.user and request.user.is_authenticated)
        if needed == PUBLIC:
            return True
        if not request.user.is_authenticated:
            return False  # DRF asks them to sign in
        check_permission(request.user, needed)
        return True


def _declared_by(view: object) -> Declaration | None:
    declared = getattr(view, "permission", None)
    if isinstance(declared, str):
        return Declaration({"GET": declared})
    return Declaration(declared) if isinstance(declared, Mapping) else None


def _declare(declaration: Declaration) -> Callable[[View], View]:
    def mark(view: View) -> View:
        setattr(view, _ATTRIBUTE, declaration)
        return view

    return mark
