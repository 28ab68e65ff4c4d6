"""The pages of computation classes: what may be computed, and who has allowed it."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.errors import ActionError
from accounts.models import User
from accounts.permissions import has_permission, requires, signed_in
from governance import actions
from governance.models import ComputationClass
from governance.pages.signing import Signing, decide_and_sign
from governance.policies import can, check_can_decide_class
from governance.queries import current_roster
from governance.statement_requests import request_class_decision
from studies.catalogue import CATALOGUE, get

_CHOICES = (
    ("approve", "Approve: studies may use this class"),
    ("reject", "Reject: no study may use it"),
    ("revoke", "Revoke: no run may use it from now on"),
)


@requires(GET="class.view", POST="class.propose")
def classes(request: HttpRequest) -> HttpResponse:
    """List the classes; propose one that the software can run and nobody has proposed."""
    user = signed_in(request)
    if request.method == "POST":
        name, _, version = request.POST.get("identifier", "").partition("/")
        try:
            number = int(version) if version.isdecimal() else 0
            proposed = actions.propose_class(name=name, version=number, by=user)
        except ActionError as error:
            messages.error(request, error.sentence)
            return redirect("classes")
        messages.success(request, f"{proposed} is proposed. The committee decides.")
        return redirect("class", proposed.name, proposed.version)
    found = list(ComputationClass.objects.order_by("title", "-version"))
    known = {f"{row.name}/{row.version}" for row in found}
    context = {
        "classes": found,
        "proposable": [value for name, value in CATALOGUE.items() if name not in known],
    }
    return render(request, "governance/classes.html", context)


@requires(GET="class.view", POST="class.approve")
def computation_class(request: HttpRequest, name: str, version: int) -> HttpResponse:
    """Show one class, and have a committee member decide about it."""
    user = signed_in(request)
    found = get_object_or_404(ComputationClass, name=name, version=version)
    signing = _sign(request, found, user)
    if signing is not None and signing.done:
        messages.success(request, "Your decision is signed, checked and in the audit log.")
        return redirect("class", name, version)
    approvals = found.approvals.select_related("signer__organisation").order_by("pk")
    context = {
        "class": found,
        "declaration": get(name, version),
        "approvals": approvals,
        "rule": _rule(),
        "signing": signing,
    }
    return render(request, "governance/class.html", context)


def _sign(request: HttpRequest, found: ComputationClass, user: User) -> Signing | None:
    """Return where the person stands with signing; None when there is nothing for them to sign."""
    choices = [
        (decision, label)
        for decision, label in _CHOICES
        if can(check_can_decide_class, found, decision, user)
    ]
    if request.method == "GET" and not choices:
        return None
    if not has_permission(user, "class.approve"):
        return None
    return decide_and_sign(
        request,
        choices=choices,
        ask=lambda decision, comment: request_class_decision(
            computation_class=found, decision=decision, by=user, comment=comment
        ),
        act=lambda envelope: actions.sign_class_decision(
            computation_class=found, envelope=envelope, by=user
        ),
    )


def _rule() -> Any:
    """Return the quorum rule for classes, or None before the first roster."""
    try:
        return current_roster().rules.class_approvals
    except ActionError:
        return None
