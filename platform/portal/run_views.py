"""The page of one run: how far each site has come, live, and why it ended where it failed.

It stands above governance and the coordinator, like `portal.run_api`.
"""

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path

from accounts.errors import ActionError
from accounts.models import User
from accounts.permissions import requires, signed_in
from governance import actions, policies
from governance.api.runs import run_or_404
from governance.errors import GovernanceError
from governance.models import Release, Run
from governance.pages.advice import advice_for
from governance.pages.situation import run_in_a_sentence
from governance.states import OWNER, Machine
from studies.actions import plan_of
from studies.plan import StudyPlan
from workers.coordinator.models import Attempt, AttemptParty

# What a site has done last, in the order of an attempt; the first that holds is shown.
_PROGRESS: tuple[tuple[str, str, Callable[[AttemptParty], bool]], ...] = (
    ("share sent", "done", lambda party: party.sealed_share is not None),
    (
        "waits for its data steward's release",
        "now",
        lambda party: party.progress == "awaiting_release",
    ),
    ("computed and certified", "done", lambda party: party.certificate is not None),
    ("computing", "now", lambda party: bool(party.progress)),
    ("accepted the run", "now", lambda party: party.acceptance is not None),
    ("offered its key", "now", lambda party: party.key_offer is not None),
)


@requires(GET="study.view")
def run(request: HttpRequest, identifier: str, run: str) -> HttpResponse:
    """Show one run."""
    by = signed_in(request)
    found = _run_of(by, identifier, run)
    attempts = list(
        Attempt.objects.filter(run=found).prefetch_related("parties__site").order_by("-number")
    )
    release = Release.objects.filter(run=found).first()
    plan = plan_of(found.version)
    context = {
        "study": found.study,
        "run": found,
        "attempt": attempts[0] if attempts else None,
        "earlier": attempts[1:],
        "sites": _sites(found, plan, attempts[0] if attempts else None, release),
        "sentence": run_in_a_sentence(found, release),
        "release": release,
        "advice": advice_for(found.reason_code) if found.reason_code else "",
        "epsilon": plan.to_json()["privacy"]["epsilon"],
        "owner": OWNER[Machine.RELEASE, release.state]
        if release
        else OWNER[Machine.RUN, found.state],
        "active": found.state in policies.ACTIVE_RUNS or _moves_on(release),
        "may_cancel": policies.can(policies.check_can_cancel_run, found, by),
        "may_start": policies.can(policies.check_can_start_run, found.study, by),
    }
    return render(request, "studies/run.html", context)


@requires(POST="run.start")
def cancel(request: HttpRequest, identifier: str, run: str) -> HttpResponse:
    """Cancel a run that is under way."""
    by = signed_in(request)
    found = _run_of(by, identifier, run)
    try:
        actions.cancel_run(run=found, by=by)
    except (ActionError, GovernanceError) as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, "The run is cancelled. The sites free what they had reserved.")
    return redirect("study-run", identifier, run)


def _run_of(by: User, identifier: str, run: str) -> Run:
    found = run_or_404(by, run)
    if found.study.identifier != identifier:
        raise Http404
    return found


def _moves_on(release: Release | None) -> bool:
    """Tell whether the release takes its next step without anybody at a page."""
    states = (Release.State.SEALED, Release.State.OPENING, Release.State.DECIDED)
    return release is not None and release.state in states


def _sites(
    found: Run, plan: StudyPlan, attempt: Attempt | None, release: Release | None
) -> list[dict[str, str]]:
    """Return how far each site of the plan has come, in the order of the parties."""
    # The gate keeps no share once the result is open, but open it is only by every site's.
    opened = release is not None and bool(release.result_digest)
    parties = {party.site.slug: party for party in attempt.parties.all()} if attempt else {}
    over = found.state in (Run.State.FAILED, Run.State.CANCELLED)
    rows = []
    for site in plan.sites:
        said, mark = ("share sent", "done") if opened else _progress(parties.get(site))
        if site == found.reason_site:
            said, mark = "see the reason above", "bad"
        elif over and mark == "now":
            mark = ""
        rows.append({"site": site, "said": said, "mark": mark})
    return rows


def _progress(party: AttemptParty | None) -> tuple[str, str]:
    for said, mark, holds in _PROGRESS:
        if party is not None and holds(party):
            return said, mark
    return "not heard from yet", ""


urlpatterns = [
    path("studies/<slug:identifier>/runs/<slug:run>/", run, name="study-run"),
    path("studies/<slug:identifier>/runs/<slug:run>/cancel/", cancel, name="study-cancel"),
]
