"""The API of governance: parse, call one action, answer. The sentences are those of the pages."""

from collections.abc import Sequence

from django.urls import URLPattern

from governance.api import agreements, classes, people, rosters, runs, site_releases, studies

urlpatterns: Sequence[URLPattern] = [
    *rosters.urlpatterns,
    *agreements.urlpatterns,
    *classes.urlpatterns,
    *studies.urlpatterns,
    *runs.urlpatterns,
    *site_releases.urlpatterns,
    *people.urlpatterns,
]
