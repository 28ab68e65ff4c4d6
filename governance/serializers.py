"""How roster, classes, reviews, consents, runs and releases look in the API."""

from typing import Any

from rest_framework import serializers

from audit import canonical
from governance.foresight import Foreseen, Verdict
from governance.models import (
    ClassApproval,
    ComputationClass,
    Consent,
    Notification,
    OutputCheck,
    Release,
    Run,
    SignedDecision,
    StudyApproval,
)
from governance.queries import SiteConsent
from governance.statements.envelope import Kind
from governance.states import OWNER, Machine
from studies.serializers import PersonBriefSerializer, StudySerializer, VersionSerializer

_DECISION = ["decision", "comment", "signer", "signed_at", "digest", "log_index"]


class EnvelopeSerializer(serializers.Serializer[Any]):
    """A DSSE envelope, as docs/protocols/schemas/envelope.json describes it."""

    payloadType = serializers.ChoiceField([kind.payload_type for kind in Kind])  # noqa: N815
    payload = serializers.CharField()
    signatures = serializers.JSONField()


class SignedSerializer(serializers.Serializer[Any]):
    """What was signed: an envelope, or a request's `unsigned` with a passkey's answer to it."""

    envelope = EnvelopeSerializer(required=False)
    unsigned = EnvelopeSerializer(required=False)
    credential = serializers.JSONField(required=False)


class AskSerializer(serializers.Serializer[Any]):
    decision = serializers.CharField(max_length=16)
    comment = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=2000, trim_whitespace=False
    )


class ConsentAskSerializer(AskSerializer):
    site = serializers.SlugField()


class StatementRequestSerializer(serializers.Serializer[Any]):
    payload = serializers.JSONField()
    digest = serializers.CharField()
    unsigned = EnvelopeSerializer()
    challenge = serializers.CharField(help_text="For navigator.credentials.get, base64url.")
    credentials = serializers.ListField(child=serializers.CharField())
    relying_party = serializers.CharField()


class RosterSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    fingerprint = serializers.CharField(help_text="Of the first version: what sites pin.")
    rosters = EnvelopeSerializer(many=True)


class DecisionSerializer(serializers.ModelSerializer[SignedDecision]):
    signer = PersonBriefSerializer(read_only=True)


class ClassApprovalSerializer(DecisionSerializer):
    class Meta:
        model = ClassApproval
        fields = [*_DECISION, "valid_until"]


class ClassSerializer(serializers.ModelSerializer[ComputationClass]):
    owner = serializers.SerializerMethodField()

    class Meta:
        model = ComputationClass
        fields = ["name", "version", "title", "digest", "state", "state_since", "owner"]

    def get_owner(self, proposed: ComputationClass) -> str:
        return OWNER[Machine.CLASS, proposed.state]


class ClassDetailSerializer(ClassSerializer):
    document = serializers.SerializerMethodField()
    approvals = ClassApprovalSerializer(many=True)

    class Meta(ClassSerializer.Meta):
        fields = [*ClassSerializer.Meta.fields, "document", "approvals"]

    def get_document(self, proposed: ComputationClass) -> dict[str, Any]:
        value: dict[str, Any] = canonical.loads(bytes(proposed.document))
        return value


class ProposalSerializer(serializers.Serializer[Any]):
    name = serializers.SlugField()
    version = serializers.IntegerField(min_value=1)


class ReviewSerializer(DecisionSerializer):
    class Meta:
        model = StudyApproval
        fields = [*_DECISION, "valid_until"]


class ReviewsSerializer(serializers.Serializer[Any]):
    received = serializers.IntegerField()
    needed = serializers.IntegerField()
    shown = ReviewSerializer(many=True)


class ConsentSerializer(DecisionSerializer):
    class Meta:
        model = Consent
        fields = [*_DECISION, "valid_until"]


class SiteConsentSerializer(serializers.Serializer[SiteConsent]):
    site = serializers.CharField()
    given = serializers.BooleanField()
    code = serializers.CharField()
    reason = serializers.CharField()
    newest = ConsentSerializer(allow_null=True)


class ForeseenSerializer(serializers.Serializer[Foreseen]):
    site = serializers.CharField(source="site.slug")
    verdict = serializers.ChoiceField([verdict.value for verdict in Verdict])
    reason = serializers.CharField()


class OutputCheckSerializer(DecisionSerializer):
    class Meta:
        model = OutputCheck
        fields = _DECISION


class RunSerializer(serializers.ModelSerializer[Run]):
    study = serializers.CharField(source="study.identifier", read_only=True)
    requested_by = PersonBriefSerializer(read_only=True)
    owner = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            "identifier",
            "study",
            "number",
            "state",
            "state_since",
            "requested_by",
            "requested_at",
            "reason_code",
            "reason",
            "reason_site",
            "owner",
        ]

    def get_owner(self, run: Run) -> str:
        return OWNER[Machine.RUN, run.state]


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    """A release without its values; the view adds `result` for those who may read it."""

    run = serializers.CharField(source="run.identifier", read_only=True)
    owner = serializers.SerializerMethodField()

    class Meta:
        model = Release
        fields = [
            "run",
            "state",
            "state_since",
            "owner",
            "permit_log_index",
            "result_digest",
            "decision_log_index",
            "withheld_reason",
        ]

    def get_owner(self, release: Release) -> str:
        return OWNER[Machine.RELEASE, release.state]


class ReleaseDetailSerializer(ReleaseSerializer):
    checks = OutputCheckSerializer(many=True)
    result = serializers.JSONField(allow_null=True)

    class Meta(ReleaseSerializer.Meta):
        fields = [*ReleaseSerializer.Meta.fields, "checks", "result"]


class StudyDetailSerializer(StudySerializer):
    """The whole of a study, as one person may see it."""

    owner = serializers.CharField(help_text="Who acts next; empty where nobody has to.")
    plan = serializers.JSONField()
    versions = VersionSerializer(many=True)
    reviews = ReviewsSerializer(allow_null=True)
    consents = SiteConsentSerializer(many=True)
    runs = RunSerializer(many=True)
    release = ReleaseSerializer(allow_null=True)
    may = serializers.ListField(child=serializers.CharField())

    class Meta(StudySerializer.Meta):
        fields = [
            *StudySerializer.Meta.fields,
            "owner",
            "plan",
            "versions",
            "reviews",
            "consents",
            "runs",
            "release",
            "may",
        ]


class AmendmentSerializer(serializers.Serializer[Any]):
    plan = serializers.JSONField(required=False, help_text="The new plan; without it, the old one.")


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    class Meta:
        model = Notification
        fields = ["id", "text", "link", "created_at", "read_at"]


class ItemSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    text = serializers.CharField()
    link = serializers.CharField()
    since = serializers.DateTimeField()
    owner = serializers.CharField()


class WorklistSerializer(serializers.Serializer[Any]):
    to_do = ItemSerializer(many=True)
    in_progress = ItemSerializer(many=True)
    done = ItemSerializer(many=True)
