"""Computation classes: propose, read, decide."""

from django.db.models import prefetch_related_objects
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import read
from accounts.permissions import signed_in
from governance import actions, statement_requests
from governance.api.signing import asked, sent_envelope
from governance.models import ComputationClass
from governance.serializers import (
    AskSerializer,
    ClassApprovalSerializer,
    ClassDetailSerializer,
    ClassSerializer,
    ProposalSerializer,
    SignedSerializer,
    StatementRequestSerializer,
)

_DECISIONS = ("approve", "reject", "revoke")


class Classes(generics.ListAPIView[ComputationClass]):
    """The classes that have been proposed; propose one of the catalogue."""

    permission = {"GET": "class.view", "POST": "class.propose"}
    serializer_class = ClassSerializer
    queryset = ComputationClass.objects.order_by("name", "version")

    @extend_schema(request=ProposalSerializer, responses={201: ClassSerializer})
    def post(self, request: Request) -> Response:
        proposed = actions.propose_class(**read(ProposalSerializer, request), by=signed_in(request))
        return Response(ClassSerializer(proposed).data, status=201)


class ClassDetail(APIView):
    """One class: its document, word for word, and the committee's decisions."""

    permission = {"GET": "class.view"}

    @extend_schema(responses=ClassDetailSerializer)
    def get(self, request: Request, name: str, version: int) -> Response:
        found = _class(name, version)
        prefetch_related_objects([found], "approvals__signer__organisation")
        return Response(ClassDetailSerializer(found).data)


class DecisionRequest(APIView):
    """Ask for the statement to sign about a class."""

    permission = {"POST": "class.approve"}

    @extend_schema(request=AskSerializer, responses=StatementRequestSerializer)
    def post(self, request: Request, name: str, version: int) -> Response:
        found = statement_requests.request_class_decision(
            computation_class=_class(name, version),
            by=signed_in(request),
            **asked(request, *_DECISIONS),
        )
        return Response(found.to_json())


class Decisions(APIView):
    """Send in a signed decision about a class."""

    permission = {"POST": "class.approve"}

    @extend_schema(request=SignedSerializer, responses={201: ClassApprovalSerializer})
    def post(self, request: Request, name: str, version: int) -> Response:
        stored = actions.sign_class_decision(
            computation_class=_class(name, version),
            envelope=sent_envelope(request),
            by=signed_in(request),
        )
        return Response(ClassApprovalSerializer(stored).data, status=201)


def _class(name: str, version: int) -> ComputationClass:
    return get_object_or_404(ComputationClass, name=name, version=version)


_ONE = "classes/<slug:name>/<int:version>/"
urlpatterns = [
    path("classes/", Classes.as_view(), name="classes"),
    path(_ONE, ClassDetail.as_view(), name="class"),
    path(f"{_ONE}decision-request/", DecisionRequest.as_view(), name="class-decision-request"),
    path(f"{_ONE}decisions/", Decisions.as_view(), name="class-decisions"),
]
