"""Pages on which an author drafts a study plan: choose a class, fill in the form, save."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.errors import ActionError, InvalidFieldsError
from accounts.permissions import requires, signed_in
from governance.models import ComputationClass
from studies import actions
from studies.api import study_or_404
from studies.catalogue import CATALOGUE
from studies.models import Study
from studies.pages.plan_page import PlanPage, declaration_called, noise_at, plan_page, retyped_page
from studies.plan import PlanError

SAVED = "Draft saved. Read the plan as everyone will sign it, then submit it."


@requires("study.propose")
def new(request: HttpRequest) -> HttpResponse:
    """Show the classes to choose from, then the form; save it as a new draft."""
    by = signed_in(request)
    if request.method == "GET" and "class" not in request.GET:
        return render(request, "studies/choose.html", {"classes": _classes()})
    return _write(
        request,
        page=_page_of(request),
        save=lambda plan: actions.create_study(plan=plan, by=by),
        study=None,
    )


@requires("study.propose")
def edit(request: HttpRequest, identifier: str) -> HttpResponse:
    """Show the form with the draft's plan in it; save it in place of the old one."""
    by = signed_in(request)
    study = study_or_404(by, identifier)
    try:
        actions.check_can_edit(study, by)
    except ActionError as error:
        messages.error(request, error.sentence)
        return redirect("study", identifier)

    def save(plan: dict[str, Any]) -> Study:
        actions.save_draft(study=study, plan=plan, by=by)
        return study

    if request.method == "POST":
        return _write(request, page=_page_of(request), save=save, study=study)
    plan = actions.plan_of(study.current)
    page = plan_page(plan.declaration, plan=plan.to_json())
    return _show(request, page, study)


@requires(POST="study.propose")
def duplicate(request: HttpRequest, identifier: str) -> HttpResponse:
    """Make a draft of one's own with the plan of this study."""
    by = signed_in(request)
    try:
        copy = actions.duplicate_study(study=study_or_404(by, identifier), by=by)
    except (ActionError, PlanError) as error:
        messages.error(request, str(error))
        return redirect("study", identifier)
    messages.success(request, "This is your copy. Change what you need, then save it.")
    return redirect("study-edit", copy.identifier)


@requires(GET="study.propose")
def noise(request: HttpRequest) -> HttpResponse:
    """Show how noisy a result will be, for what is typed: a fragment of the form's page."""
    declaration = declaration_called(request.GET.get("class", ""))
    if declaration is None:
        raise Http404
    asked = ("epsilon", "sites", "max_sites_per_person")
    found = noise_at(declaration, **{name: request.GET.get(name, "")[:20] for name in asked})
    return render(request, "studies/noise.html", {"forecasts": found, "declaration": declaration})


def _page_of(request: HttpRequest) -> PlanPage:
    """Return the page for the class that the request names, with what it brought."""
    sent = request.POST if request.method == "POST" else request.GET
    declaration = declaration_called(sent.get("computation_class", sent.get("class", "")))
    if declaration is None:
        raise Http404
    if request.method != "POST":
        return plan_page(declaration)
    if request.POST.get("step") in {"class", "rows"}:
        return retyped_page(declaration, request.POST)
    return plan_page(declaration, data=request.POST)


def _write(
    request: HttpRequest,
    *,
    page: PlanPage,
    save: Callable[[dict[str, Any]], Study],
    study: Study | None,
) -> HttpResponse:
    if page.form.is_bound and page.is_valid():
        try:
            saved = save(page.plan())
        except PlanError as error:
            page.form.add_problems(error.problems)
        except InvalidFieldsError as error:
            for where, sentence in error.fields.items():
                page.form.add_problem(f"$.{where}", sentence)
        except ActionError as error:
            page.form.add_error(None, error.sentence)
        else:
            messages.success(request, SAVED)
            return redirect("study", saved.identifier)
    return _show(request, page, study)


def _show(request: HttpRequest, page: PlanPage, study: Study | None) -> HttpResponse:
    context = {"page": page, "study": study, "classes": _classes()}
    return render(request, "studies/edit.html", context)


def _classes() -> list[dict[str, Any]]:
    """Return the catalogue with what the committee has decided about each class."""
    decided = {proposed.digest: proposed for proposed in ComputationClass.objects.all()}
    return [
        {"declaration": declaration, "decided": decided.get(declaration.digest)}
        for declaration in CATALOGUE.values()
    ]
