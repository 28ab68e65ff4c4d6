"""One's own page: who one is here, and the keys one signs with.

It stands in the portal and not in accounts since it says which keys the roster lists.
"""

import json
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts import actions, keys
from accounts.errors import ActionError, InvalidFieldsError
from accounts.forms import SigningKeyForm, explain
from accounts.key_registration import registration_message
from accounts.models import SigningKey, User
from accounts.permissions import requires, signed_in
from governance.queries import current_roster

_REGISTERED = "{} is registered. It counts once a roster version lists it."


@dataclass(frozen=True)
class OwnKey:
    """One of the person's keys, and whether signatures by it count today."""

    key: SigningKey
    listed: bool


@requires("home")
def account(request: HttpRequest) -> HttpResponse:
    """Show the person's roles and keys; register an Ed25519 key."""
    user = signed_in(request)
    form = SigningKeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            document = keys.ed25519_document(
                form.cleaned_data["public_key"],
                form.cleaned_data["proof"],
                message=registration_message(user.member_id),
            )
            _register(request, user, document, form.cleaned_data["name"])
            return redirect("account")
        except ActionError as error:
            explain(form, error)
    version, own = _own_keys(user)
    context = {"form": form, "roster_version": version, "own_keys": own, "person": user}
    return render(request, "accounts/account.html", context)


@requires(POST="home")
@require_POST
def begin_passkey(request: HttpRequest) -> JsonResponse:
    """Answer `static/js/passkey.js` with what the browser needs to make a passkey."""
    options, state = keys.begin_passkey(signed_in(request))
    return JsonResponse({"options": options, "state": state})


@requires(POST="home")
@require_POST
def finish_passkey(request: HttpRequest) -> HttpResponse:
    """Register the passkey that the browser has made."""
    user = signed_in(request)
    try:
        credential = _read_credential(request.POST.get("credential", ""))
        document = keys.finish_passkey(user, credential, request.POST.get("state", ""))
        name = request.POST.get("name", "").strip()[:80] or "Passkey"
        _register(request, user, document, name)
    except ActionError as error:
        messages.error(request, error.sentence)
    return redirect("account")


def _register(request: HttpRequest, user: User, document: dict[str, Any], name: str) -> None:
    actions.register_signing_key(user=user, document=document, name=name, by=user)
    messages.success(request, _REGISTERED.format(name))


def _read_credential(written: str) -> dict[str, Any]:
    try:
        credential = json.loads(written)
    except ValueError:
        credential = None
    if not isinstance(credential, dict):
        raise InvalidFieldsError({"credential": "The browser sent no passkey. Try again."})
    return credential


def _own_keys(user: User) -> tuple[int | None, list[OwnKey]]:
    """Return the roster's version, None before the first, and the person's keys against it."""
    try:
        roster = current_roster()
    except ActionError:
        version, listed = None, frozenset[str]()
    else:
        version, member = roster.version, roster.member(user.member_id)
        listed = frozenset(key.id for key in member.keys) if member else frozenset()
    rows = user.signing_keys.order_by("created_at")
    return version, [OwnKey(key, key.key_id in listed) for key in rows]
