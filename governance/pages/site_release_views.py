"""The page on which a steward lets their site's share of a sealed result go, or refuses."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.errors import ActionError
from accounts.models import Site
from accounts.permissions import requires, signed_in
from governance import actions, policies
from governance.models import Release
from governance.pages.signing import decide_and_sign
from governance.pages.spending import spending_at
from governance.render import of_plan
from governance.statement_requests import request_site_release
from studies.actions import plan_of
from studies.api import study_or_404

_CHOICES = (
    ("release", "Release: this site's share may go to the release gate"),
    ("refuse", "Refuse: the result stays closed for good"),
)


@requires("consent.sign")
def site_release(request: HttpRequest, identifier: str, run: str, site: str) -> HttpResponse:
    """Show a steward what they let go, and take their signed word."""
    by = signed_in(request)
    study = study_or_404(by, identifier)
    release = get_object_or_404(Release, run__identifier=run, run__version__study=study)
    asked = Site.objects.filter(slug=site, organisation=by.organisation_id).first()
    if asked is None:
        raise Http404
    if request.method == "GET":
        try:
            policies.check_can_release_share(release, asked, by)
        except ActionError as error:
            messages.warning(request, error.sentence)
            return redirect("study", identifier)
    signing = decide_and_sign(
        request,
        choices=_CHOICES,
        ask=lambda decision, comment: request_site_release(
            release=release, site=asked, decision=decision, by=by, comment=comment
        ),
        act=lambda envelope: actions.sign_site_release(
            release=release, site=asked, envelope=envelope, by=by
        ),
    )
    if signing.done:
        messages.success(
            request, f"Your word is signed and logged. The agent of {asked} acts on it."
        )
        return redirect("study", identifier)
    version = release.run.version
    plan = plan_of(version)
    context = {
        "study": study,
        "run": release.run,
        "site": asked,
        "plan": plan,
        "version": version,
        "facts": of_plan(plan),
        "spending": spending_at(asked, plan),
        "signing": signing,
    }
    return render(request, "studies/site_release.html", context)
