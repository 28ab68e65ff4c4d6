"""Pages of a release: its checkers read the noised result and sign, its author reads it later."""

import json
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.errors import ActionError
from accounts.models import User
from accounts.permissions import requires, signed_in
from governance import actions, policies, statement_requests
from governance.api.runs import run_or_404
from governance.models import Release
from governance.pages.signing import Signing, decide_and_sign
from governance.states import OWNER, Machine
from studies.actions import plan_of
from studies.pages.result_tables import as_csv, count_result, survival_result

_VERDICTS = [
    ("pass", "Pass: it shows nothing about single persons and may be released"),
    ("withhold", "Withhold: it must stay closed"),
]
_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@requires(GET="study.view", POST="output.check")
def release(request: HttpRequest, identifier: str, run: str) -> HttpResponse:
    """Show how the release stands, the result to those who may read it, and take checks."""
    by = signed_in(request)
    found = _release_or_404(by, identifier, run)
    signing = _signing(request, found, by)
    if signing is not None and signing.done:
        messages.success(request, "Your check is signed and logged.")
        return redirect("study-release", identifier, run)
    plan = plan_of(found.run.version)
    may_read, reason = _may_read(found, by)
    context = {
        "study": found.run.study,
        "run": found.run,
        "release": found,
        "plan": plan,
        "owner": OWNER[Machine.RELEASE, found.state],
        "checks": found.checks.select_related("signer__organisation").order_by("pk"),
        "signing": signing,
        "reason": reason,
        **(_result(found) if may_read else {}),
    }
    return render(request, "studies/release.html", context)


@requires(GET="study.view")
def result_file(request: HttpRequest, identifier: str, run: str, form: str) -> HttpResponse:
    """Hand out the released result as JSON or CSV, to those who may read it."""
    by = signed_in(request)
    found = _release_or_404(by, identifier, run)
    may_read, _ = _may_read(found, by)
    if form not in _TYPES or not may_read or found.result is None:
        raise Http404
    body = as_csv(found.result) if form == "csv" else json.dumps(found.result, indent=2)
    answer = HttpResponse(body, content_type=_TYPES[form])
    answer["Content-Disposition"] = f'attachment; filename="{run}-result.{form}"'
    return answer


def _release_or_404(by: User, identifier: str, run: str) -> Release:
    found = Release.objects.filter(run=run_or_404(by, run)).select_related("run__version").first()
    if found is None or found.run.study.identifier != identifier:
        raise Http404
    return found


def _signing(request: HttpRequest, found: Release, by: User) -> Signing | None:
    """Return where a checker stands; None for who has nothing to check now."""
    if request.method == "GET" and not policies.can(policies.check_can_check_output, found, by):
        return None
    return decide_and_sign(
        request,
        choices=_VERDICTS,
        ask=lambda decision, comment: statement_requests.request_output_check(
            release=found, decision=decision, by=by, comment=comment
        ),
        act=lambda envelope: actions.sign_output_check(release=found, envelope=envelope, by=by),
    )


def _may_read(found: Release, by: User) -> tuple[bool, str]:
    try:
        policies.check_can_read_result(found, by)
    except ActionError as error:
        return False, error.sentence
    return True, ""


def _result(found: Release) -> dict[str, Any]:
    """Return what the template needs to draw the result."""
    result = found.result
    if result is None:
        return {}
    kind = "count" if result.get("analysis", "").startswith("cohort-count/") else "survival"
    drawn: Any = count_result(result) if kind == "count" else survival_result(result)
    return {"result": result, kind: drawn}
