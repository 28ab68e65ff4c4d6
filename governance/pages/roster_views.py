"""The roster's page: who may decide what, with which keys, and the fingerprint that sites pin."""

import json
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from accounts.errors import ActionError
from accounts.permissions import requires, signed_in
from accounts.roles import Role
from governance import actions
from governance.errors import GovernanceError
from governance.models import RosterVersion
from governance.pages.signing import sent_envelope
from governance.queries import current_roster
from governance.roster import Roster
from governance.roster_draft import draft_roster


@requires(GET="roster.view", POST="roster.publish")
def roster(request: HttpRequest) -> HttpResponse:
    """Show the roster in force and its history; publish the next one."""
    problem = ""
    if request.method == "POST":
        try:
            published = actions.publish_roster(
                envelope=sent_envelope(request), by=signed_in(request)
            )
        except (ActionError, GovernanceError) as error:
            problem = error.sentence
        else:
            messages.success(request, f"Version {published.version} is in force.")
            return redirect("roster")
    history = list(RosterVersion.objects.order_by("-version"))
    context: dict[str, Any] = {"problem": problem, "history": history}
    if history:
        current = current_roster()
        context |= {
            "roster": current,
            "pinned": history[-1].digest,
            "members": _members(current),
        }
    return render(request, "governance/roster.html", context)


@requires(GET="roster.publish")
def draft(request: HttpRequest) -> HttpResponse:
    """Hand out a draft of the next version, for the committee to sign offline."""
    try:
        envelope = draft_roster(now=timezone.now())
    except (ActionError, GovernanceError) as error:
        messages.error(request, error.sentence)
        return redirect("roster")
    answer = HttpResponse(
        json.dumps(envelope.to_json(), indent=2) + "\n", content_type="application/json"
    )
    answer["Content-Disposition"] = 'attachment; filename="roster.json"'
    return answer


def _members(current: Roster) -> list[dict[str, Any]]:
    """Return the members by organisation, their roles in words."""
    labels = dict(Role.choices)
    names = {organisation.id: organisation.name for organisation in current.organisations}
    return [
        {
            "id": member.id,
            "name": member.name,
            "organisation": names[member.organisation],
            "roles": [labels[Role(role)] for role in sorted(member.roles)],
            "keys": [key.id for key in member.keys],
        }
        for member in sorted(current.members, key=lambda member: (member.organisation, member.id))
    ]
