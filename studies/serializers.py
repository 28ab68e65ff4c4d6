"""How studies look in the API, apart from how they are governed."""

from typing import Any

from rest_framework import serializers

from accounts.models import User
from studies.models import Study, StudyVersion
from studies.queries import shown_version


class PersonBriefSerializer(serializers.ModelSerializer[User]):
    name = serializers.CharField(source="__str__", read_only=True)
    organisation = serializers.SlugRelatedField[Any](slug_field="slug", read_only=True)

    class Meta:
        model = User
        fields = ["member_id", "name", "organisation"]


class VersionSerializer(serializers.ModelSerializer[StudyVersion]):
    class Meta:
        model = StudyVersion
        fields = ["number", "digest", "created_at", "submitted_at"]


class StudySerializer(serializers.ModelSerializer[Study]):
    """A study as the `reader` of the context, or whoever sent its `request`, may see it."""

    state_label = serializers.CharField(source="get_state_display", read_only=True)
    author = PersonBriefSerializer(read_only=True)
    version = serializers.SerializerMethodField()
    digest = serializers.SerializerMethodField()

    class Meta:
        model = Study
        fields = [
            "identifier",
            "title",
            "state",
            "state_label",
            "state_since",
            "author",
            "version",
            "digest",
            "created_at",
        ]

    def get_version(self, study: Study) -> int:
        return self._shown(study).number

    def get_digest(self, study: Study) -> str:
        return self._shown(study).digest

    def _shown(self, study: Study) -> StudyVersion:
        return shown_version(study, self.context.get("reader") or self.context["request"].user)


class PlanSerializer(serializers.Serializer[Any]):
    """The fields of a study plan that its author chooses; see docs/protocols."""

    plan = serializers.JSONField()


class DeclarationSerializer(serializers.Serializer[Any]):
    identifier = serializers.CharField()
    title = serializers.CharField()
    digest = serializers.CharField()
    document = serializers.JSONField(source="to_json")
