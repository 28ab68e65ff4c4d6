"""Who may call what: nothing undeclared, and every declaration as a table written by hand says."""

import tomllib
from pathlib import Path

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from accounts.middleware import DefaultDenyMiddleware
from accounts.permissions import (
    PUBLIC,
    Declaration,
    api_class,
    declaration_of,
    has_permission,
    permissions_of,
    requires,
)
from accounts.roles import PERMISSIONS, ROLE_PERMISSIONS, Role
from tests.accounts.endpoints import Endpoint, endpoints
from tests.factories import portal

ENDPOINTS = sorted(endpoints(), key=lambda endpoint: endpoint.route)
# "GET|POST /people/" = the roles that may, "everyone" signed in, or "public".
MATRIX: dict[str, list[str]] = {
    f"{method} {row.split()[1]}": roles.split()
    for row, roles in tomllib.loads(
        Path(__file__).with_name("matrix.toml").read_text(encoding="utf-8")
    ).items()
    for method in row.split()[0].split("|")
}
ANSWERS_FOR_THE_UNKNOWN = {302, 401}


def route_of(endpoint: Endpoint) -> str:
    return endpoint.route


def calls() -> list[tuple[str, str, Endpoint]]:
    """Return every (method, row of the matrix, endpoint) that some view declares."""
    found = []
    for endpoint in ENDPOINTS:
        declaration = declaration_of(endpoint.view)
        for method in declaration.by_method if declaration else ():
            found.append((method, f"{method} {endpoint.route}", endpoint))
    return found


def allowed(row: str) -> set[str]:
    roles = MATRIX[row]
    return set(Role.values) if roles in (["everyone"], ["public"]) else set(roles)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=route_of)
def test_every_view_declares_what_it_needs(endpoint: Endpoint) -> None:
    assert declaration_of(endpoint.view) is not None, (
        f"{endpoint.route} declares no permission: mark its view with @requires or @public, or "
        "give its class the attribute `permission`"
    )


def test_the_matrix_names_every_call_and_no_other() -> None:
    declared = {row for _, row, _ in calls()}
    assert sorted(declared - set(MATRIX)) == [], "views without a row in matrix.toml"
    assert sorted(set(MATRIX) - declared) == [], "rows without a view"


@pytest.mark.django_db
@pytest.mark.parametrize("role", Role.values)
def test_each_role_reaches_what_the_matrix_says_and_nothing_else(role: str) -> None:
    person = portal.person(f"holder-{role}", [role])
    client = Client(raise_request_exception=False)
    wrong = []
    for method, row, endpoint in calls():
        if MATRIX[row] == ["public"]:
            continue
        client.force_login(person)  # again and again, for one of the calls signs out
        answer = client.generic(method, endpoint.address, "{}", "application/json")
        if (answer.status_code == 403) == (role in allowed(row)):
            wrong.append(f"{row} answered {answer.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.django_db
def test_strangers_reach_public_views_only() -> None:
    client = Client(raise_request_exception=False)
    for method, row, endpoint in calls():
        answer = client.generic(method, endpoint.address, "{}", "application/json")
        if MATRIX[row] != ["public"]:
            assert answer.status_code in ANSWERS_FOR_THE_UNKNOWN, f"{row}: {answer.status_code}"
            if answer.status_code == 302:
                assert answer["Location"].startswith("/login/"), row
    # What the table calls public, the view does too, and nothing else.
    for method, row, endpoint in calls():
        declaration = declaration_of(endpoint.view)
        assert declaration is not None
        assert (declaration.needed(method) == PUBLIC) == (MATRIX[row] == ["public"]), row


def test_every_permission_is_carried_by_some_role_and_documented() -> None:
    assert frozenset().union(*ROLE_PERMISSIONS.values()) == set(PERMISSIONS)
    assert set(ROLE_PERMISSIONS) == set(Role)


def test_portal_operators_can_neither_decide_nor_read_results() -> None:
    deciding = {"class.approve", "study.review", "consent.sign", "run.start", "output.check"}
    assert not ROLE_PERMISSIONS[Role.PORTAL_OPERATOR] & (deciding | {"study.view"})


@pytest.mark.django_db
def test_deactivated_people_and_superusers_have_no_permission_of_their_own() -> None:
    gone = portal.person("gone", [Role.PI])
    assert has_permission(gone, "study.propose")
    gone.is_active = False
    assert permissions_of(gone) == frozenset()
    super_user = portal.person("root", [])
    super_user.is_superuser = super_user.is_staff = True
    assert permissions_of(super_user) == frozenset()


def undeclared(request: HttpRequest) -> HttpResponse:
    return HttpResponse("should not be seen")


def test_a_view_that_declares_nothing_is_refused_and_named_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from django.core.exceptions import PermissionDenied

    middleware = DefaultDenyMiddleware(undeclared)
    with pytest.raises(PermissionDenied):
        middleware.process_view(RequestFactory().get("/"), undeclared, (), {})
    assert "undeclared" in caplog.text


def test_an_api_view_that_replaces_our_permission_class_is_not_served_unchecked() -> None:
    from rest_framework.permissions import AllowAny
    from rest_framework.views import APIView

    class Careless(APIView):
        permission = {"GET": "home"}
        permission_classes = (AllowAny,)

    view = Careless.as_view()
    assert api_class(view) is None
    assert declaration_of(view) is None


def test_a_declaration_of_an_unknown_permission_fails_at_import() -> None:
    with pytest.raises(ValueError, match=r"study\.vieww"):
        requires("study.vieww")
    with pytest.raises(ValueError, match="expected permissions"):
        Declaration({})
