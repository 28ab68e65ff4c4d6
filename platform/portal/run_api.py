"""One run in detail: what governance knows of it, and how far each site has come.

It stands above both: attempts belong to the coordinator, which governance never imports.
"""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import signed_in
from governance.api.runs import run_or_404
from governance.models import Run
from governance.serializers import RunSerializer
from workers.coordinator.models import Attempt, AttemptParty


class PartySerializer(serializers.ModelSerializer[AttemptParty]):
    site = serializers.CharField(source="site.slug", read_only=True)
    offered = serializers.SerializerMethodField()
    accepted = serializers.SerializerMethodField()
    certified = serializers.SerializerMethodField()

    class Meta:
        model = AttemptParty
        fields = ["party", "site", "offered", "accepted", "progress", "certified"]

    def get_offered(self, party: AttemptParty) -> bool:
        return party.key_offer is not None

    def get_accepted(self, party: AttemptParty) -> bool:
        return party.acceptance is not None

    def get_certified(self, party: AttemptParty) -> bool:
        return party.certificate is not None


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    parties = PartySerializer(many=True)

    class Meta:
        model = Attempt
        fields = [
            "number",
            "state",
            "manifest_digest",
            "created_at",
            "deadline_at",
            "computing_since",
            "sealed_at",
            "parties",
        ]


class RunDetailSerializer(RunSerializer):
    attempts = AttemptSerializer(many=True)

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "attempts"]


class RunDetail(APIView):
    """One run: its state, why it failed if it did, and each site's progress."""

    permission = {"GET": "study.view"}

    @extend_schema(responses=RunDetailSerializer)
    def get(self, request: Request, identifier: str) -> Response:
        return Response(described(run_or_404(signed_in(request), identifier)))


def described(run: Run) -> dict[str, Any]:
    """Return the run as the API and its live page show it."""
    attempts = Attempt.objects.filter(run=run).prefetch_related("parties__site").order_by("number")
    parts: Any = AttemptSerializer(attempts, many=True).data
    return {**RunSerializer(run).data, "attempts": parts}


urlpatterns = [path("runs/<slug:identifier>/", RunDetail.as_view(), name="run")]
