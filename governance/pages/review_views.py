"""Pages on which people decide and sign: a committee member's review, a site's consent."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.errors import ActionError
from accounts.models import Site, User
from accounts.permissions import requires, signed_in
from governance import actions, policies, statement_requests
from governance.errors import GovernanceError
from governance.models import ComputationClass
from governance.pages.signing import decide_and_sign
from governance.pages.spending import spending_at
from governance.pages.study_views import parameters_in_words
from governance.queries import reviews_shown_to
from governance.render import of_plan
from studies.actions import plan_of
from studies.api import study_or_404
from studies.models import Study
from studies.queries import shown_version

_REVIEWS = [
    ("approve", "Approve: the study may run as this plan says"),
    ("return", "Return: its author should change it and submit it again"),
    ("reject", "Reject: it must not run, however it is changed"),
]
_GIVE = [
    ("consent", "Consent: this site takes part as this plan says"),
    ("decline", "Decline: this site does not take part"),
]
_KEEP = [
    ("consent", "Renew the consent: it holds for the full time again"),
    ("withdraw", "Withdraw the consent: no further step of this study happens here"),
]


@requires("study.review")
def review(request: HttpRequest, identifier: str) -> HttpResponse:
    """Show the plan to a committee member, and take their signed review."""
    by = signed_in(request)
    study = study_or_404(by, identifier)
    if request.method == "GET" and (reason := _why_not_review(study, by)):
        messages.warning(request, reason)
        return redirect("study", identifier)
    signing = decide_and_sign(
        request,
        choices=_REVIEWS,
        ask=lambda decision, comment: statement_requests.request_review(
            study=study, decision=decision, by=by, comment=comment
        ),
        act=lambda envelope: actions.review_study(study=study, envelope=envelope, by=by),
    )
    if signing.done:
        messages.success(request, "Your review is signed and logged.")
        return redirect("study", identifier)
    version = shown_version(study, by)
    plan = plan_of(version)
    context = {
        "study": study,
        "version": version,
        "plan": plan,
        "facts": of_plan(plan),
        "parameters": parameters_in_words(plan),
        "computation_class": ComputationClass.objects.filter(
            digest=plan.class_reference.digest
        ).first(),
        "received": version.approvals.count(),
        "earlier": _earlier_reviews(study, by),
        "signing": signing,
    }
    return render(request, "studies/review.html", context)


@requires("consent.sign")
def consent(request: HttpRequest, identifier: str, site: str) -> HttpResponse:
    """Show a steward what their site would do, reveal and spend, and take their signed decision."""
    by = signed_in(request)
    study = study_or_404(by, identifier)
    version = shown_version(study, by)
    asked = version.sites.filter(slug=site, organisation=by.organisation_id).first()
    if asked is None:
        raise Http404
    newest = version.consents.filter(site=asked).order_by("-pk").first()
    given = newest is not None and newest.decision == "consent"
    if request.method == "GET" and (reason := _why_not_consent(study, asked, by)):
        messages.warning(request, reason)
        return redirect("study", identifier)
    signing = decide_and_sign(
        request,
        choices=_KEEP if given else _GIVE,
        ask=lambda decision, comment: statement_requests.request_consent(
            study=study, site=asked, decision=decision, by=by, comment=comment
        ),
        act=lambda envelope: actions.sign_consent(study=study, envelope=envelope, by=by),
    )
    if signing.done:
        messages.success(request, f"Your decision for {asked} is signed and logged.")
        return redirect("study", identifier)
    plan = plan_of(version)
    forecast = plan.declaration.forecast(plan.parameters, len(plan.sites))
    context = {
        "study": study,
        "version": version,
        "site": asked,
        "plan": plan,
        "facts": of_plan(plan),
        "parameters": parameters_in_words(plan),
        "spending": spending_at(asked, plan),
        "data_set": next((each for each in asked.data_sets if each["name"] == plan.data_set), None),
        "forecast": forecast,
        "newest": newest,
        "signing": signing,
    }
    return render(request, "studies/consent.html", context)


def _why_not_review(study: Study, by: User) -> str:
    try:
        policies.check_can_review(study, by)
    except (ActionError, GovernanceError) as error:
        return error.sentence
    return ""


def _why_not_consent(study: Study, site: Site, by: User) -> str:
    try:
        policies.check_can_consent(study, site, "consent", by)
    except (ActionError, GovernanceError) as error:
        return error.sentence
    return ""


def _earlier_reviews(study: Study, by: User) -> list[object]:
    """Return the reviews of earlier versions, which are no longer blinded."""
    versions = study.versions.exclude(pk=study.current.pk).order_by("number")
    return [review for version in versions for review in reviews_shown_to(by, version)]
