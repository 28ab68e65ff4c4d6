"""The API of what may be asked and of drafts; `governance.api` has what follows submission."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.urls import URLPattern, path
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.permissions import signed_in
from studies import actions
from studies.catalogue import CATALOGUE
from studies.models import Study
from studies.queries import visible_to
from studies.serializers import DeclarationSerializer, PlanSerializer, StudySerializer


def study_or_404(user: User, identifier: str) -> Study:
    """Return the study if the person may know of it; else answer as if it did not exist."""
    study = visible_to(user).filter(identifier=identifier).first()
    if study is None:
        raise Http404
    return study


def sent_plan(request: Request) -> dict[str, Any]:
    """Return the plan's fields in the request's body; raises DRF's ValidationError."""
    plan = request.data.get("plan") if isinstance(request.data, dict) else None
    if not isinstance(plan, dict):
        raise ValidationError({"plan": ["Expected an object with the plan's fields."]})
    return plan


class Catalogue(APIView):
    """Every computation class that this software can run, with its declaration."""

    permission = {"GET": "class.view"}

    @extend_schema(responses=DeclarationSerializer(many=True))
    def get(self, request: Request) -> Response:
        return Response(DeclarationSerializer(list(CATALOGUE.values()), many=True).data)


class Studies(generics.ListAPIView[Study]):
    """The studies that one may see; draft a new one."""

    permission = {"GET": "study.view", "POST": "study.propose"}
    serializer_class = StudySerializer

    def get_queryset(self) -> QuerySet[Study]:
        return visible_to(signed_in(self.request)).prefetch_related("versions")

    @extend_schema(request=PlanSerializer, responses={201: StudySerializer})
    def post(self, request: Request) -> Response:
        study = actions.create_study(plan=sent_plan(request), by=signed_in(request))
        return Response(StudySerializer(study, context={"request": request}).data, status=201)


class Duplicate(APIView):
    """Make a draft of one's own with the plan of a study that one may see."""

    permission = {"POST": "study.propose"}

    @extend_schema(request=None, responses={201: StudySerializer})
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        copy = actions.duplicate_study(study=study_or_404(by, identifier), by=by)
        return Response(StudySerializer(copy, context={"request": request}).data, status=201)


urlpatterns: Sequence[URLPattern] = [
    path("catalogue/", Catalogue.as_view(), name="catalogue"),
    path("studies/", Studies.as_view(), name="studies"),
    path("studies/<slug:identifier>/duplicate/", Duplicate.as_view(), name="duplicate"),
]
