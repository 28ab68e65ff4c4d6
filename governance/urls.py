"""Page addresses of governance: computation classes, the roster, and the way of studies."""

from django.urls import URLPattern, URLResolver, include, path

from governance.pages import agreement_views, class_views, roster_views

urlpatterns: list[URLPattern | URLResolver] = [
    path("classes/", class_views.classes, name="classes"),
    path("classes/<slug:name>/<int:version>/", class_views.computation_class, name="class"),
    path("agreement/", agreement_views.agreement, name="agreement"),
    path("roster/", roster_views.roster, name="roster"),
    path("roster/draft/", roster_views.draft, name="roster-draft"),
    path("", include("governance.pages.study_urls")),
]
