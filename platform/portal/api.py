"""The API under /api/v1/: its addresses, and the one form in which it says what went wrong.

Every error is `{"code": ..., "sentence": ...}`, with `fields` where single fields are wrong. The
sentence of a refusal is the one that pages show.
"""

from typing import Any

from django.db import connection
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.utils import extend_schema, inline_serializer
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView, exception_handler

from accounts.errors import ActionError, InvalidFieldsError, NotPermittedError
from accounts.permissions import PUBLIC, DeclaredPermission
from governance.errors import GovernanceError, RosterError, StatementError
from studies.documents import DocumentError


def explain_error(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer that explains `error`; None for a fault of ours, which becomes a 500."""
    if isinstance(error, InvalidFieldsError):
        return _explained(400, error.code, error.sentence, error.fields)
    if isinstance(error, ActionError):
        forbidden = isinstance(error, NotPermittedError)
        return _explained(403 if forbidden else 409, error.code, error.sentence)
    if isinstance(error, GovernanceError):
        unreadable = isinstance(error, StatementError | RosterError)
        return _explained(400 if unreadable else 409, error.code, error.sentence)
    if isinstance(error, DocumentError):
        fields = {problem.field.removeprefix("$."): str(problem) for problem in error.problems}
        return _explained(400, "plan_invalid", f"{error}.", fields)
    answer = exception_handler(error, context)
    return None if answer is None else _explain_framework(error, answer)


def _explain_framework(error: Exception, answer: Response) -> Response:
    if isinstance(error, exceptions.ValidationError):
        fields = _flattened(answer.data)
        sentence = " ".join(f"{field}: {problem}" for field, problem in fields.items())
        return _explained(400, "invalid", sentence, fields)
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        # DRF says 403 when sessions are tried first; programs rely on 401 to log in.
        answer.status_code = 401
        answer["WWW-Authenticate"] = "Token"
    detail = getattr(error, "detail", None) or exceptions.NotFound.default_detail
    answer.data = {
        "code": getattr(detail, "code", "not_found"),
        "sentence": str(detail),
    }
    return answer


def _flattened(detail: Any, path: str = "") -> dict[str, str]:
    if isinstance(detail, dict):
        found: dict[str, str] = {}
        for name, inner in detail.items():
            step = f"[{name}]" if isinstance(name, int) else f".{name}"
            found |= _flattened(inner, f"{path}{step}".removeprefix("."))
        return found
    if isinstance(detail, list) and any(isinstance(inner, dict | list) for inner in detail):
        found = {}
        for index, inner in enumerate(detail):
            found |= _flattened(inner, f"{path}[{index}]")
        return found
    problems = detail if isinstance(detail, list) else [detail]
    return {path or "body": " ".join(map(str, problems))}


def _explained(
    code: int, name: str, sentence: str, fields: dict[str, str] | None = None
) -> Response:
    body: dict[str, Any] = {"code": name, "sentence": sentence}
    return Response(body if fields is None else {**body, "fields": fields}, status=code)


class Health(APIView):
    """Tell a load balancer that the portal answers and reaches its database."""

    permission = {"GET": PUBLIC}
    authentication_classes = ()

    @extend_schema(
        responses=inline_serializer("Health", {"status": serializers.ChoiceField(["ok"])})
    )
    def get(self, request: Request) -> Response:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return Response({"status": "ok"})


class Schema(SpectacularAPIView):
    """The OpenAPI description of this API."""

    permission = {"GET": "home"}
    permission_classes = (DeclaredPermission,)


class Documentation(SpectacularSwaggerSplitView):
    """The API's documentation, to read and to try; its script is a file, as our CSP asks."""

    permission = {"GET": "home"}
    permission_classes = (DeclaredPermission,)


urlpatterns: list[URLPattern | URLResolver] = [
    path("health/", Health.as_view(), name="health"),
    path("", include("accounts.api")),
    path("", include("studies.api")),
    path("", include("governance.api")),
    path("", include("portal.run_api")),
    path("", include("portal.audit_api")),
]
