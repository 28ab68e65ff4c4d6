"""A site's own release gate over HTTP: ask for the statement, send in the signed word."""

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import Site
from accounts.permissions import signed_in
from governance import actions, statement_requests
from governance.api.runs import run_or_404
from governance.api.signing import asked, sent_envelope
from governance.models import Release, SiteRelease
from governance.serializers import (
    AskSerializer,
    DecisionSerializer,
    SignedSerializer,
    StatementRequestSerializer,
)


class SiteReleaseSerializer(DecisionSerializer):
    site = serializers.CharField(source="site.slug")

    class Meta:
        model = SiteRelease
        fields = ["site", "decision", "comment", "signer", "signed_at", "digest", "log_index"]


class SiteReleaseRequest(APIView):
    """Ask for the statement by which one lets one's site's share go, or refuses."""

    permission = {"POST": "consent.sign"}

    @extend_schema(request=AskSerializer, responses=StatementRequestSerializer)
    def post(self, request: Request, run: str, site: str) -> Response:
        release, asked_of = _about(request, run, site)
        found = statement_requests.request_site_release(
            release=release,
            site=asked_of,
            by=signed_in(request),
            **asked(request, "release", "refuse"),
        )
        return Response(found.to_json())


class SiteReleases(APIView):
    """Send in the signed word on one's site's share."""

    permission = {"POST": "consent.sign"}

    @extend_schema(request=SignedSerializer, responses={201: SiteReleaseSerializer})
    def post(self, request: Request, run: str, site: str) -> Response:
        release, asked_of = _about(request, run, site)
        stored = actions.sign_site_release(
            release=release, site=asked_of, envelope=sent_envelope(request), by=signed_in(request)
        )
        return Response(SiteReleaseSerializer(stored).data, status=201)


def _about(request: Request, run: str, site: str) -> tuple[Release, Site]:
    """Return the release and the caller's own site; anyone else's is not found."""
    by = signed_in(request)
    release = get_object_or_404(Release, run=run_or_404(by, run))
    return release, get_object_or_404(Site, slug=site, organisation=by.organisation_id)


_ONE = "runs/<slug:run>/shares/<slug:site>/"
urlpatterns = [
    path(f"{_ONE}request/", SiteReleaseRequest.as_view(), name="share-request"),
    path(_ONE, SiteReleases.as_view(), name="share"),
]
