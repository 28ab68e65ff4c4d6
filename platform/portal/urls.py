"""Every address of the portal: the API under /api/, pages everywhere else."""

from django.urls import include, path

urlpatterns = [
    path("", include("portal.page_urls")),
    path("", include("accounts.urls")),
    path("", include("studies.urls")),
    path("", include("governance.urls")),
    path("", include("audit.urls")),
]
