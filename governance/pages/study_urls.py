"""Page addresses of a study's way, from draft to released result; runs stand in the portal's."""

from django.urls import URLPattern, path

from governance.pages import (
    draft_views,
    release_views,
    review_views,
    site_release_views,
    study_views,
)

_ONE = "studies/<slug:identifier>/"
urlpatterns: list[URLPattern] = [
    path("studies/", study_views.studies, name="studies"),
    path("studies/new/", draft_views.new, name="study-new"),
    path("studies/noise/", draft_views.noise, name="study-noise"),
    path(_ONE, study_views.study, name="study"),
    path(f"{_ONE}edit/", draft_views.edit, name="study-edit"),
    path(f"{_ONE}duplicate/", draft_views.duplicate, name="study-duplicate"),
    path(f"{_ONE}versions/<int:number>/plan.json", study_views.plan_file, name="study-plan"),
    path(f"{_ONE}submit/", study_views.submit, name="study-submit"),
    path(f"{_ONE}amend/", study_views.amend, name="study-amend"),
    path(f"{_ONE}withdraw/", study_views.withdraw, name="study-withdraw"),
    path(f"{_ONE}review/", review_views.review, name="study-review"),
    path(f"{_ONE}consent/<slug:site>/", review_views.consent, name="study-consent"),
    path(f"{_ONE}runs/", study_views.start, name="study-start"),
    path(f"{_ONE}runs/<slug:run>/release/", release_views.release, name="study-release"),
    path(
        f"{_ONE}runs/<slug:run>/share/<slug:site>/",
        site_release_views.site_release,
        name="study-share",
    ),
    path(
        f"{_ONE}runs/<slug:run>/result.<slug:form>",
        release_views.result_file,
        name="study-result",
    ),
]
