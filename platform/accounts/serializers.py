"""How people, organisations, sites and keys look in the API."""

from typing import Any, ClassVar

from rest_framework import serializers

from accounts.models import Organisation, SigningKey, Site, User
from accounts.permissions import permissions_of
from accounts.roles import Role


class OrganisationSerializer(serializers.ModelSerializer[Organisation]):
    class Meta:
        model = Organisation
        fields = ["slug", "name"]
        # The action says which slug is in use.
        extra_kwargs: ClassVar[dict[str, Any]] = {"slug": {"validators": []}}


class SiteSerializer(serializers.ModelSerializer[Site]):
    organisation = serializers.SlugRelatedField[Organisation](
        slug_field="slug", queryset=Organisation.objects.all()
    )

    class Meta:
        model = Site
        fields = [
            "slug",
            "organisation",
            "identity_key",
            "enrolled_at",
            "last_seen_at",
            "data_sets",
        ]
        read_only_fields = ["identity_key", "enrolled_at", "last_seen_at", "data_sets"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"slug": {"validators": []}}


class CreatedSiteSerializer(serializers.Serializer[Any]):
    site = SiteSerializer()
    enrolment_token = serializers.CharField(help_text="Shown once. Give it to the site operator.")


class EnrolmentSerializer(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=100)
    identity_key = serializers.CharField(max_length=64, help_text="Raw Ed25519 key, hex.")
    proof = serializers.CharField(
        max_length=128,
        help_text='Signature, hex, over "quorate/site-enrolment/v1\\n" site "\\n" token "\\n".',
    )


class PersonSerializer(serializers.ModelSerializer[User]):
    name = serializers.CharField(source="__str__", read_only=True)
    organisation = serializers.SlugRelatedField[Organisation](
        slug_field="slug", queryset=Organisation.objects.all()
    )
    roles = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["member_id", "username", "name", "email", "organisation", "roles", "is_active"]

    def get_roles(self, user: User) -> list[str]:
        return sorted(membership.role for membership in user.memberships.all())


class MeSerializer(PersonSerializer):
    permissions = serializers.SerializerMethodField()

    class Meta(PersonSerializer.Meta):
        fields = [*PersonSerializer.Meta.fields, "permissions"]

    def get_permissions(self, user: User) -> list[str]:
        return sorted(permissions_of(user))


class NewPersonSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    first_name = serializers.CharField(max_length=150)
    last_name = serializers.CharField(max_length=150)
    email = serializers.EmailField()
    organisation = serializers.SlugRelatedField[Organisation](
        slug_field="slug", queryset=Organisation.objects.all()
    )
    roles = serializers.ListField(child=serializers.ChoiceField(Role.choices))
    password = serializers.CharField(required=False, allow_null=True, default=None)
    member_id = serializers.SlugField(required=False, allow_null=True, default=None)


class RoleSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(Role.choices)


class SigningKeySerializer(serializers.ModelSerializer[SigningKey]):
    class Meta:
        model = SigningKey
        fields = ["key_id", "kind", "name", "document", "created_at"]


class NewKeySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    public_key = serializers.CharField(max_length=64, help_text="Raw Ed25519 key, hex.")
    proof = serializers.CharField(
        max_length=128,
        help_text='Signature, hex, over "quorate/key-registration/v1\\n" member_id.',
    )


class PasskeyBegunSerializer(serializers.Serializer[Any]):
    options = serializers.JSONField(help_text="For navigator.credentials.create.")
    state = serializers.CharField(help_text="Send it back with the credential.")


class NewPasskeySerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=80)
    credential = serializers.JSONField(help_text="What the browser returned.")
    state = serializers.CharField()


class CredentialsSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=200)


class TokenSerializer(serializers.Serializer[Any]):
    token = serializers.CharField()
