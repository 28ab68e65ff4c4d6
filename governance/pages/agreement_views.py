"""The agreement's page: the contract under which sites take part, and who has signed it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.errors import ActionError
from accounts.models import User
from accounts.permissions import has_permission, requires, signed_in
from governance import actions
from governance.pages.signing import Signing, decide_and_sign
from governance.policies import can, check_can_sign_agreement
from governance.queries import agreements, current_roster
from governance.statement_requests import request_agreement

_CHOICES = (
    ("sign", "Sign: our sites take part under this agreement"),
    ("end", "End: our sites take part no longer, from now on"),
)


@requires(GET="roster.view", POST="consent.sign")
def agreement(request: HttpRequest) -> HttpResponse:
    """Show who has signed the agreement, and have a data steward sign for their organisation."""
    try:
        required = current_roster().rules.agreement
    except ActionError:
        required = None
    if required is None:
        return render(request, "governance/agreement.html", {"required": None})
    signing = _sign(request, signed_in(request))
    if signing is not None and signing.done:
        messages.success(request, "Your signature is checked and in the audit log.")
        return redirect("agreement")
    context = {"required": required, "agreements": agreements(), "signing": signing}
    return render(request, "governance/agreement.html", context)


def _sign(request: HttpRequest, user: User) -> Signing | None:
    """Return where the person stands with signing; None when there is nothing for them to sign."""
    choices = [
        (decision, label)
        for decision, label in _CHOICES
        if user.organisation is not None
        and can(check_can_sign_agreement, user.organisation, decision, user)
    ]
    if not choices or not has_permission(user, "consent.sign"):
        return None
    return decide_and_sign(
        request,
        choices=choices,
        ask=lambda decision, comment: request_agreement(
            decision=decision, by=user, comment=comment
        ),
        act=lambda envelope: actions.sign_agreement(envelope=envelope, by=user),
    )
