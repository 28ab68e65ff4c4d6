"""Every address of the portal: the API under /api/, pages everywhere else."""

from django.urls import include, path

from portal import api

urlpatterns = [
    path("api/v1/", include((api.urlpatterns, "api"))),
    path("api/schema/", api.Schema.as_view(), name="schema"),
    path("api/docs/", api.Documentation.as_view(url_name="schema"), name="docs"),
    path("", include("portal.page_urls")),
    path("", include("accounts.urls")),
    path("", include("governance.urls")),
]
