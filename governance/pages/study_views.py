"""Pages of studies: the list, one study under the Five Safes, and the steps of its author."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, prefetch_related_objects
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from accounts.errors import ActionError
from accounts.models import User
from accounts.permissions import has_permission, requires, signed_in
from governance import actions, policies
from governance.errors import GovernanceError
from governance.foresight import foresee
from governance.models import Run
from governance.pages.offers import offers_for
from governance.pages.situation import headlines_of, situation_of
from governance.pages.spending import spending_at
from governance.pages.study_story import story_of
from governance.queries import consents_of, current_roster, reviews_shown_to
from governance.render import Fact, of_plan
from studies.actions import plan_of
from studies.api import study_or_404
from studies.documents import parse_moment
from studies.models import Study, StudyVersion
from studies.plan import StudyPlan
from studies.queries import shown_version, shown_versions, visible_to

STUDIES_ON_A_PAGE = 20
# What sites would say is of use until they have said it.
_FORESEEN = (Study.State.DRAFT, *policies.BLINDED, Study.State.RETURNED, Study.State.APPROVED)

# Under which of the Five Safes each line of the plan in words stands.
_SAFES = {
    "project": ("Purpose", "In short", "What is computed"),
    "data": ("Who is counted", "Data set"),
    "settings": ("Mode", "Noise", "Privacy cost"),
    "outputs": ("Who learns what", "Small numbers", "Recipient"),
}


@requires(GET="study.view")
def studies(request: HttpRequest) -> HttpResponse:
    """List the studies that one may see, by state and by words of the title."""
    by = signed_in(request)
    found, state = visible_to(by), request.GET.get("state", "")
    query = request.GET.get("q", "").strip()[:200]
    if state in Study.State.values:
        found = found.filter(state=state)
    if query:
        found = found.filter(Q(title__icontains=query) | Q(identifier=query))
    page = Paginator(found.prefetch_related("versions"), STUDIES_ON_A_PAGE).get_page(
        request.GET.get("page")
    )
    context = {
        "page": page,
        "rows": list(zip(page, headlines_of(list(page)), strict=True)),
        "states": Study.State.choices,
        "state": state,
        "query": query,
        "any": visible_to(by).exists(),
    }
    return render(request, "studies/list.html", context)


@requires(GET="study.view")
def study(request: HttpRequest, identifier: str) -> HttpResponse:
    """Show one study: how it stands, what one can do, and its plan under the Five Safes."""
    by = signed_in(request)
    found = study_or_404(by, identifier)
    prefetch_related_objects([found], "versions")  # nothing below changes them
    version = shown_version(found, by)
    plan = plan_of(version)
    offers = offers_for(found, by)
    context = {
        "study": found,
        "version": version,
        "versions": shown_versions(found, by),
        "plan": plan,
        "expires": parse_moment(plan.expires_at),
        "facts": of_plan(plan),
        "safes": _under_safes(plan),
        "parameters": parameters_in_words(plan),
        "situation": situation_of(found),
        "tasks": [offer for offer in offers if offer.task],
        "offers": [offer for offer in offers if not offer.reason and not offer.task],
        "refused": [offer for offer in offers if offer.reason],
        "foreseen": foresee(plan, now=timezone.now()) if found.state in _FORESEEN else [],
        "story": story_of(identifier, with_links=has_permission(by, "audit.view")),
        "evidence": policies.can(policies.check_can_export_evidence, found),
        **_decisions(version, by, plan),
    }
    return render(request, "studies/study.html", context)


@requires(GET="study.view")
def plan_file(request: HttpRequest, identifier: str, number: int) -> HttpResponse:
    """Hand out a version of the plan: exactly the bytes whose SHA-256 is the study digest."""
    by = signed_in(request)
    found = study_or_404(by, identifier)
    version = next((each for each in shown_versions(found, by) if each.number == number), None)
    if version is None:
        raise Http404
    answer = HttpResponse(bytes(version.plan), content_type="application/json")
    name = f"{found.identifier}-version-{version.number}.json"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@requires(POST="study.propose")
def submit(request: HttpRequest, identifier: str) -> HttpResponse:
    """Submit one's draft to the committee."""
    return _do(request, identifier, actions.submit_study, "Submitted to the committee.")


@requires(POST="study.propose")
def amend(request: HttpRequest, identifier: str) -> HttpResponse:
    """Make a new version of one's study, and go on to edit it."""
    done = "This is the new version, a draft. Change the plan, save it, and submit it again."
    return _do(request, identifier, actions.amend_study, done, then="study-edit")


@requires(POST="study.propose")
def withdraw(request: HttpRequest, identifier: str) -> HttpResponse:
    """Withdraw one's study for good."""
    return _do(request, identifier, actions.withdraw_study, "The study is withdrawn.")


@requires(POST="run.start")
def start(request: HttpRequest, identifier: str) -> HttpResponse:
    """Start a run, and go to its page."""
    by = signed_in(request)
    found = study_or_404(by, identifier)
    try:
        run = actions.start_run(study=found, by=by)
    except (ActionError, GovernanceError) as error:
        messages.error(request, error.sentence)
        return redirect("study", identifier)
    return redirect("study-run", identifier, run.identifier)


def parameters_in_words(plan: StudyPlan) -> list[Fact]:
    """Return the plan's parameters, each with its name in words."""
    return [
        Fact(name.replace("_", " ").capitalize(), _in_words(value))
        for name, value in plan.parameters.items()
    ]


def _do(
    request: HttpRequest,
    identifier: str,
    action: Callable[..., Any],
    done: str,
    then: str = "study",
) -> HttpResponse:
    by = signed_in(request)
    found = study_or_404(by, identifier)
    try:
        action(study=found, by=by)
    except (ActionError, GovernanceError) as error:
        messages.error(request, error.sentence)
        return redirect("study", identifier)
    messages.success(request, done)
    return redirect(then, identifier)


def _under_safes(plan: StudyPlan) -> dict[str, list[Fact]]:
    facts = {fact.label: fact for fact in of_plan(plan)}
    return {safe: [facts[label] for label in labels] for safe, labels in _SAFES.items()}


def _decisions(version: StudyVersion, by: User, plan: StudyPlan) -> dict[str, Any]:
    """Return reviews as far as the person may read them, consents, costs and runs."""
    runs = Run.objects.filter(version__study=version.study_id).select_related("version", "release")
    context: dict[str, Any] = {
        "runs": runs.order_by("-pk"),
        "sites": version.sites.select_related("organisation").order_by("slug"),
        "submitted": version.submitted_at is not None,
    }
    if version.submitted_at is None:
        return context
    consents = consents_of(version)
    return {
        **context,
        "reviews": reviews_shown_to(by, version),
        "received": version.approvals.count(),
        "rule": current_roster().rules.study_approvals,
        "consents": consents,
        "spendings": _known(spending_at(consent.site, plan) for consent in consents),
    }


def _known(found: Iterable[Any]) -> list[Any]:
    return [each for each in found if each is not None]


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(_in_words(each) for each in value)
    if isinstance(value, dict) and value.keys() == {"value", "label"}:
        return f"{value['label']} (value {value['value']})"
    return str(value)
