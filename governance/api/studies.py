"""One study and the steps of its way: submit, review, consent, amend, withdraw."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api import read
from accounts.models import Site, User
from accounts.permissions import signed_in
from governance import actions, policies, statement_requests
from governance.api.signing import asked, sent_envelope
from governance.evidence_store import evidence_for
from governance.foresight import foresee
from governance.models import Run
from governance.pages.situation import headline_of
from governance.queries import (
    consents_of,
    current_roster,
    releases_of,
    reviews_shown_to,
)
from governance.serializers import (
    AmendmentSerializer,
    AskSerializer,
    ConsentAskSerializer,
    ConsentSerializer,
    ForeseenSerializer,
    ReleaseSerializer,
    ReviewSerializer,
    ReviewsSerializer,
    RunSerializer,
    SignedSerializer,
    SiteConsentSerializer,
    StatementRequestSerializer,
    StudyDetailSerializer,
)
from studies.actions import plan_of, save_draft
from studies.api import sent_plan, study_or_404
from studies.models import Study, StudyVersion
from studies.queries import shown_version, shown_versions
from studies.serializers import PlanSerializer, StudySerializer, VersionSerializer

_REVIEWS = ("approve", "return", "reject")
_CONSENTS = ("consent", "decline", "withdraw")
_STEPS = {
    "submit": policies.check_can_submit,
    "review": policies.check_can_review,
    "start_run": policies.check_can_start_run,
    "amend": policies.check_can_amend,
    "withdraw": policies.check_can_withdraw,
}


class StudyDetail(APIView):
    """One study: its plan, how it stands, and what one may do about it now."""

    permission = {"GET": "study.view", "PATCH": "study.propose"}

    @extend_schema(responses=StudyDetailSerializer)
    def get(self, request: Request, identifier: str) -> Response:
        return described(study_or_404(signed_in(request), identifier), signed_in(request))

    @extend_schema(request=PlanSerializer, responses=StudyDetailSerializer)
    def patch(self, request: Request, identifier: str) -> Response:
        """Replace fields of the draft's plan."""
        by = signed_in(request)
        study = study_or_404(by, identifier)
        plan = {**plan_of(study.current).to_json(), **sent_plan(request)}
        save_draft(study=study, plan=plan, by=by)
        return described(study_or_404(by, identifier), by)


class Submission(APIView):
    """Hand the draft to the committee."""

    permission = {"POST": "study.propose"}

    @extend_schema(request=None, responses=StudyDetailSerializer)
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        study = study_or_404(by, identifier)
        actions.submit_study(study=study, by=by)
        return described(study, by)


class Withdrawal(APIView):
    """Withdraw one's study for good."""

    permission = {"POST": "study.propose"}

    @extend_schema(request=None, responses=StudyDetailSerializer)
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        study = study_or_404(by, identifier)
        actions.withdraw_study(study=study, by=by)
        return described(study, by)


class Amendment(APIView):
    """Make a new draft version, which voids approvals and consents."""

    permission = {"POST": "study.propose"}

    @extend_schema(request=AmendmentSerializer, responses=StudyDetailSerializer)
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        study = study_or_404(by, identifier)
        plan = sent_plan(request) if "plan" in request.data else None
        actions.amend_study(study=study, plan=plan, by=by)
        return described(study_or_404(by, identifier), by)


class ReviewRequest(APIView):
    """Ask for the statement by which one reviews the study."""

    permission = {"POST": "study.review"}

    @extend_schema(request=AskSerializer, responses=StatementRequestSerializer)
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        found = statement_requests.request_review(
            study=study_or_404(by, identifier), by=by, **asked(request, *_REVIEWS)
        )
        return Response(found.to_json())


class Reviews(APIView):
    """The reviews, blinded until all are in; send in one's own."""

    permission = {"GET": "study.view", "POST": "study.review"}

    @extend_schema(responses=ReviewsSerializer)
    def get(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        version = shown_version(study_or_404(by, identifier), by)
        return Response(ReviewsSerializer(_reviews(version, by)).data)

    @extend_schema(request=SignedSerializer, responses={201: ReviewSerializer})
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        stored = actions.review_study(
            study=study_or_404(by, identifier), envelope=sent_envelope(request), by=by
        )
        return Response(ReviewSerializer(stored).data, status=201)


class ConsentRequest(APIView):
    """Ask for the statement by which one decides for one's site."""

    permission = {"POST": "consent.sign"}

    @extend_schema(request=ConsentAskSerializer, responses=StatementRequestSerializer)
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        found = statement_requests.request_consent(
            study=study_or_404(by, identifier),
            site=get_object_or_404(Site, slug=read(ConsentAskSerializer, request)["site"]),
            by=by,
            **asked(request, *_CONSENTS),
        )
        return Response(found.to_json())


class Consents(APIView):
    """How each site stands; send in one's decision for one's site."""

    permission = {"GET": "study.view", "POST": "consent.sign"}

    @extend_schema(responses=SiteConsentSerializer(many=True))
    def get(self, request: Request, identifier: str) -> Response:
        study = study_or_404(signed_in(request), identifier)
        return Response(_consents(shown_version(study, signed_in(request))))

    @extend_schema(request=SignedSerializer, responses={201: ConsentSerializer})
    def post(self, request: Request, identifier: str) -> Response:
        by = signed_in(request)
        stored = actions.sign_consent(
            study=study_or_404(by, identifier), envelope=sent_envelope(request), by=by
        )
        return Response(ConsentSerializer(stored).data, status=201)


class EvidenceExport(APIView):
    """Everything that shows the study may run, for checking away from the portal."""

    permission = {"GET": "study.view"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, identifier: str) -> Response:
        study = study_or_404(signed_in(request), identifier)
        policies.check_can_export_evidence(study)
        return Response(evidence_for(shown_version(study, signed_in(request))).to_json())


def described(study: Study, user: User) -> Response:
    """Return the answer that describes the study to this person."""
    release = releases_of(study).first()
    version = shown_version(study, user)
    submitted = version.submitted_at is not None
    runs = Run.objects.filter(version__study=study).select_related(
        "version__study", "requested_by__organisation"
    )
    body = {
        **StudySerializer(study, context={"reader": user}).data,
        "owner": headline_of(study).owner,
        "plan": plan_of(version).to_json(),
        "versions": VersionSerializer(shown_versions(study, user)[::-1], many=True).data,
        "reviews": ReviewsSerializer(_reviews(version, user)).data if submitted else None,
        "consents": _consents(version) if submitted else [],
        "runs": RunSerializer(runs.order_by("pk"), many=True).data,
        "release": ReleaseSerializer(release).data if release else None,
        "may": [step for step, check in _STEPS.items() if policies.can(check, study, user)],
    }
    return Response(body)


def _reviews(version: StudyVersion, user: User) -> dict[str, Any]:
    return {
        "received": version.approvals.values("signer").distinct().count(),
        "needed": current_roster().rules.study_approvals.approvals,
        "shown": reviews_shown_to(user, version),
    }


def _consents(version: StudyVersion) -> Any:
    standing: Any = consents_of(version)  # the stubs know no many=True
    return SiteConsentSerializer(standing, many=True).data


class Foresight(APIView):
    """Will it be refused? What each site would say of the plan, as far as the portal can know."""

    permission = {"GET": "study.view"}

    @extend_schema(responses=ForeseenSerializer(many=True))
    def get(self, request: Request, identifier: str) -> Response:
        study = study_or_404(signed_in(request), identifier)
        plan = plan_of(shown_version(study, signed_in(request)))
        found: Any = foresee(plan, now=timezone.now())  # the stubs know no many=True
        return Response(ForeseenSerializer(found, many=True).data)


_ONE = "studies/<slug:identifier>/"
urlpatterns = [
    path(_ONE, StudyDetail.as_view(), name="study"),
    path(f"{_ONE}submit/", Submission.as_view(), name="submit"),
    path(f"{_ONE}withdraw/", Withdrawal.as_view(), name="withdraw"),
    path(f"{_ONE}amend/", Amendment.as_view(), name="amend"),
    path(f"{_ONE}review-request/", ReviewRequest.as_view(), name="review-request"),
    path(f"{_ONE}reviews/", Reviews.as_view(), name="reviews"),
    path(f"{_ONE}consent-request/", ConsentRequest.as_view(), name="consent-request"),
    path(f"{_ONE}consents/", Consents.as_view(), name="consents"),
    path(f"{_ONE}foresight/", Foresight.as_view(), name="foresight"),
    path(f"{_ONE}evidence/", EvidenceExport.as_view(), name="evidence"),
]
