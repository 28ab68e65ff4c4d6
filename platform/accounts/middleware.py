"""Default deny: a view that declares no permission is not served."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase

from accounts.permissions import PUBLIC, api_class, declaration_of, has_permission

logger = logging.getLogger(__name__)


class DefaultDenyMiddleware:
    """Check each page against what it declares; the API checks itself from the same declaration."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self,
        request: HttpRequest,
        view: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> HttpResponseBase | None:
        """Return None to let the view answer, or the answer that replaces it.

        *Raises* PermissionDenied (shown as 403) when the person lacks what the view declares, and
        for a view that declares nothing.
        """
        declaration = declaration_of(view)
        if declaration is None:
            name = f"{view.__module__}.{getattr(view, '__qualname__', view)}"
            logger.error("Refused %s: it declares no permission (accounts.permissions).", name)
            raise PermissionDenied("This page declares no permission, so nobody may see it.")
        if api_class(view) is not None:
            return None
        needed = declaration.needed(request.method or "")
        if needed == PUBLIC:
            return None
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if needed is None:
            return HttpResponseNotAllowed(list(declaration.by_method))
        if not has_permission(request.user, needed):
            raise PermissionDenied("None of your roles allows this.")
        return None
