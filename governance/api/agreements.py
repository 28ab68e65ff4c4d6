"""The agreement under which sites take part: who has signed it; sign or end it."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import signed_in
from governance import actions, statement_requests
from governance.api.signing import asked, sent_envelope
from governance.models import Agreement
from governance.queries import agreements, current_roster
from governance.serializers import (
    AskSerializer,
    DecisionSerializer,
    SignedSerializer,
    StatementRequestSerializer,
)


class AgreementSerializer(DecisionSerializer):
    class Meta:
        model = Agreement
        fields = [
            "decision",
            "comment",
            "signer",
            "signed_at",
            "digest",
            "log_index",
            "agreement_digest",
            "valid_until",
        ]


class OrganisationAgreementSerializer(serializers.Serializer[Any]):
    organisation = serializers.CharField(source="organisation.slug")
    signed = serializers.BooleanField()
    reason = serializers.CharField()
    newest = AgreementSerializer(allow_null=True)


class AgreementsSerializer(serializers.Serializer[Any]):
    title = serializers.CharField(help_text="Empty where the roster asks for no agreement.")
    digest = serializers.CharField()
    organisations = OrganisationAgreementSerializer(many=True)


class Agreements(APIView):
    """How the organisations stand to the agreement; send in a signature."""

    permission = {"GET": "roster.view", "POST": "consent.sign"}

    @extend_schema(responses=AgreementsSerializer)
    def get(self, request: Request) -> Response:
        required = current_roster().rules.agreement
        body = {
            "title": required.title if required else "",
            "digest": required.digest if required else "",
            "organisations": agreements(),
        }
        return Response(AgreementsSerializer(body).data)

    @extend_schema(request=SignedSerializer, responses={201: AgreementSerializer})
    def post(self, request: Request) -> Response:
        stored = actions.sign_agreement(envelope=sent_envelope(request), by=signed_in(request))
        return Response(AgreementSerializer(stored).data, status=201)


class AgreementRequest(APIView):
    """Ask for the statement by which one's organisation signs or ends the agreement."""

    permission = {"POST": "consent.sign"}

    @extend_schema(request=AskSerializer, responses=StatementRequestSerializer)
    def post(self, request: Request) -> Response:
        found = statement_requests.request_agreement(
            by=signed_in(request), **asked(request, "sign", "end")
        )
        return Response(found.to_json())


urlpatterns = [
    path("agreement/", Agreements.as_view(), name="agreement"),
    path("agreement/request/", AgreementRequest.as_view(), name="agreement-request"),
]
