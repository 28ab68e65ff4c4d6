"""Runs and releases: start, cancel, check the output, read the result."""

from django.db.models import QuerySet
from django.http import Http404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.permissions import signed_in
from governance import actions, policies, statement_requests
from governance.api.signing import asked, sent_envelope
from governance.models import Release, Run
from governance.serializers import (
    AskSerializer,
    OutputCheckSerializer,
    ReleaseDetailSerializer,
    ReleaseSerializer,
    RunSerializer,
    SignedSerializer,
    StatementRequestSerializer,
)
from studies.api import study_or_404
from studies.queries import visible_to

_VERDICTS = ("pass", "withhold")


def run_or_404(user: User, identifier: str) -> Run:
    """Return the run of a study that the person may see; else answer as if it did not exist."""
    run = Run.objects.select_related("version__study__author", "requested_by__organisation")
    found = run.filter(identifier=identifier, version__study__in=visible_to(user)).first()
    if found is None:
        raise Http404
    return found


class Runs(generics.ListAPIView[Run]):
    """The runs of a study; start one."""

    permission = {"GET": "study.view", "POST": "run.start"}
    serializer_class = RunSerializer

    def get_queryset(self) -> QuerySet[Run]:
        study = study_or_404(signed_in(self.request), self.kwargs["identifier"])
        runs = Run.objects.filter(version__study=study).order_by("pk")
        return runs.select_related("version__study", "requested_by__organisation")

    @extend_schema(request=None, responses={201: RunSerializer})
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        run = actions.start_run(study=study_or_404(by, identifier), by=by)
        return Response(RunSerializer(run).data, status=201)


class Cancellation(APIView):
    """Cancel a run that is under way."""

    permission = {"POST": "run.start"}

    @extend_schema(request=None, responses=RunSerializer)
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        run = run_or_404(by, identifier)
        actions.cancel_run(run=run, by=by)
        return Response(RunSerializer(run_or_404(by, identifier)).data)


class ReleaseDetail(APIView):
    """The release of a run; its result only for those who may read it, and when."""

    permission = {"GET": "study.view"}

    @extend_schema(responses=ReleaseDetailSerializer)
    def get(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        release = _release_or_404(by, identifier)
        readable = policies.can(policies.check_can_read_result, release, by)
        checks = release.checks.select_related("signer__organisation").order_by("pk")
        return Response(
            {
                **ReleaseSerializer(release).data,
                "checks": OutputCheckSerializer(checks, many=True).data,
                "result": release.result if readable else None,
            }
        )


class CheckRequest(APIView):
    """Ask for the statement by which one checks an output."""

    permission = {"POST": "output.check"}

    @extend_schema(request=AskSerializer, responses=StatementRequestSerializer)
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        found = statement_requests.request_output_check(
            release=_release_or_404(by, identifier), by=by, **asked(request, *_VERDICTS)
        )
        return Response(found.to_json())


class Checks(APIView):
    """Send in one's verdict on a noised result."""

    permission = {"POST": "output.check"}

    @extend_schema(request=SignedSerializer, responses={201: OutputCheckSerializer})
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        stored = actions.sign_output_check(
            release=_release_or_404(by, identifier), envelope=sent_envelope(request), by=by
        )
        return Response(OutputCheckSerializer(stored).data, status=201)


def _release_or_404(user: User, identifier: str) -> Release:
    release = Release.objects.filter(run=run_or_404(user, identifier)).first()
    if release is None:
        raise Http404
    return release


_ONE = "runs/<slug:identifier>/"
urlpatterns = [
    path("studies/<slug:identifier>/runs/", Runs.as_view(), name="runs"),
    path(f"{_ONE}cancel/", Cancellation.as_view(), name="cancel-run"),
    path(f"{_ONE}release/", ReleaseDetail.as_view(), name="release"),
    path(f"{_ONE}check-request/", CheckRequest.as_view(), name="check-request"),
    path(f"{_ONE}checks/", Checks.as_view(), name="checks"),
]
