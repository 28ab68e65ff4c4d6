"""Signing in and out, and the portal operator's pages about people, organisations and sites."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_POST
from rest_framework.throttling import SimpleRateThrottle

from accounts import actions
from accounts.errors import ActionError
from accounts.forms import OrganisationForm, PersonForm, RolesForm, SignInForm, SiteForm, explain
from accounts.invitations import send_invitation
from accounts.models import Organisation, Site, User
from accounts.permissions import public, requires, signed_in


class SignInThrottle(SimpleRateThrottle):
    """So many attempts a minute for one user name from one address."""

    scope = "login"

    def get_cache_key(self, request: Any, view: Any) -> str:
        """Return the name under which attempts are counted."""
        name = request.POST.get("username", "").casefold().encode().hex()[:200]
        return f"sign-in-page:{self.get_ident(request)}:{name}"


class SignIn(auth_views.LoginView):
    """The login page."""

    template_name = "accounts/login.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Sign the person in, unless too many have tried."""
        if SignInThrottle().allow_request(request, self):  # type: ignore[arg-type]
            return super().post(request, *args, **kwargs)
        context = self.get_context_data(form=SignInForm(), throttled=True)
        return self.render_to_response(context, status=429)


login = public(SignIn.as_view())
logout = requires(POST="home")(auth_views.LogoutView.as_view())
welcome = public(
    auth_views.PasswordResetConfirmView.as_view(
        template_name="accounts/welcome.html", success_url=reverse_lazy("login")
    )
)


@requires("people.manage")
def people(request: HttpRequest) -> HttpResponse:
    """List people, organisations and sites."""
    everyone = User.objects.select_related("organisation").prefetch_related("memberships")
    context = {
        "people": everyone.order_by("-is_active", "last_name", "first_name"),
        "organisations": Organisation.objects.select_related("site").order_by("name"),
        "sites": Site.objects.select_related("organisation").order_by("slug"),
    }
    return render(request, "accounts/people.html", context)


@requires("people.manage")
def new_person(request: HttpRequest) -> HttpResponse:
    """Invite a person."""
    by, form = signed_in(request), PersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            invited = actions.create_person(**form.cleaned_data, password=None, by=by)
        except ActionError as error:
            explain(form, error)
        else:
            _invite(request, invited)
            return redirect("person", invited.member_id)
    return render(request, "accounts/person_new.html", {"form": form})


@requires("people.manage")
def person(request: HttpRequest, member_id: str) -> HttpResponse:
    """Show a person; change their roles."""
    found = get_object_or_404(User.objects.select_related("organisation"), member_id=member_id)
    by, held = signed_in(request), {row.role for row in found.memberships.all()}
    form = RolesForm(request.POST or None, initial={"roles": sorted(held)})
    if request.method == "POST" and form.is_valid():
        try:
            _change_roles(found, *form.changes(held), by=by)
        except ActionError as error:
            explain(form, error)
        else:
            messages.success(request, f"The roles of {found} are as you set them.")
            return redirect("person", member_id)
    context = {"person": found, "form": form, "is_self": found.pk == by.pk}
    return render(request, "accounts/person.html", context)


@requires(POST="people.manage")
@require_POST
def invite_again(request: HttpRequest, member_id: str) -> HttpResponse:
    """Send a person a new link to choose their password."""
    _invite(request, get_object_or_404(User, member_id=member_id))
    return redirect("person", member_id)


@requires(POST="people.manage")
@require_POST
def deactivate(request: HttpRequest, member_id: str) -> HttpResponse:
    """Close a person's account."""
    found = get_object_or_404(User, member_id=member_id)
    try:
        actions.deactivate_person(user=found, by=signed_in(request))
        messages.success(request, f"The account of {found} is closed.")
    except ActionError as error:
        messages.error(request, error.sentence)
    return redirect("person", member_id)


@requires("people.manage")
def new_organisation(request: HttpRequest) -> HttpResponse:
    """Add an organisation."""
    form = OrganisationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = actions.create_organisation(**form.cleaned_data, by=signed_in(request))
        except ActionError as error:
            explain(form, error)
        else:
            messages.success(request, f"{made} takes part.")
            return redirect("people")
    return render(request, "accounts/organisation_new.html", {"form": form})


@requires("people.manage")
def new_site(request: HttpRequest) -> HttpResponse:
    """Add a site; its enrolment token is in the answer and nowhere else."""
    form, context = SiteForm(request.POST or None), dict[str, Any]()
    if request.method == "POST" and form.is_valid():
        try:
            site, token = actions.create_site(**form.cleaned_data, by=signed_in(request))
        except ActionError as error:
            explain(form, error)
        else:
            context = {"site": site, "token": token}
    answer = render(request, "accounts/site_new.html", {"form": form, **context})
    answer["Cache-Control"] = "no-store"
    return answer


def _change_roles(user: User, granted: list[str], removed: list[str], *, by: User) -> None:
    with transaction.atomic():
        for role in removed:
            actions.remove_role(user=user, role=role, by=by)
        for role in granted:
            actions.grant_role(user=user, role=role, by=by)


def _invite(request: HttpRequest, user: User) -> None:
    try:
        send_invitation(user=user, by=signed_in(request))
        messages.success(request, f"An invitation is on its way to {user.email}.")
    except ActionError as error:
        messages.error(request, error.sentence)
