"""The API of people, organisations, sites and keys: parse, call one action, answer."""

import logging
from typing import Any

from django.contrib.auth import authenticate
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.throttling import ScopedRateThrottle
from rest_framework.views import APIView

from accounts import actions, keys
from accounts import serializers as forms
from accounts.key_registration import registration_message
from accounts.models import Organisation, SigningKey, Site, User
from accounts.permissions import PUBLIC, signed_in

logger = logging.getLogger(__name__)


def read(serializer: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    """Return the request's body as `serializer` reads it; raises DRF's ValidationError."""
    parsed = serializer(data=request.data)
    parsed.is_valid(raise_exception=True)
    return dict(parsed.validated_data)


class Login(APIView):
    """Exchange a user name and password for a token (`Authorization: Token ...`)."""

    permission = {"POST": PUBLIC}
    authentication_classes = ()
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "login"

    @extend_schema(request=forms.CredentialsSerializer, responses=forms.TokenSerializer)
    def post(self, request: Request) -> Response:
        sent = read(forms.CredentialsSerializer, request)
        user = authenticate(request, **sent)
        if not isinstance(user, User):
            # Not in the audit log: strangers would make it grow (audit.events).
            logger.warning("Refused to sign in %r.", sent["username"])
            raise AuthenticationFailed("This user name and password do not go together.")
        token, _ = Token.objects.get_or_create(user=user)
        return Response({"token": token.key})


class Logout(APIView):
    """Void one's token."""

    permission = {"POST": "home"}

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        Token.objects.filter(user=signed_in(request)).delete()
        return Response(status=204)


class Me(APIView):
    """Who one is, with roles and permissions."""

    permission = {"GET": "home"}

    @extend_schema(responses=forms.MeSerializer)
    def get(self, request: Request) -> Response:
        return Response(forms.MeSerializer(signed_in(request)).data)


class MyKeys(generics.ListAPIView[SigningKey]):
    """One's public signing keys; register an Ed25519 key."""

    permission = {"GET": "home", "POST": "home"}
    serializer_class = forms.SigningKeySerializer

    def get_queryset(self) -> QuerySet[SigningKey]:
        return SigningKey.objects.filter(user=signed_in(self.request)).order_by("created_at")

    @extend_schema(request=forms.NewKeySerializer, responses={201: forms.SigningKeySerializer})
    def post(self, request: Request) -> Response:
        sent = read(forms.NewKeySerializer, request)
        document = keys.ed25519_document(
            sent["public_key"],
            sent["proof"],
            message=registration_message(signed_in(request).member_id),
        )
        return _registered(signed_in(request), document, sent["name"])


class BeginPasskey(APIView):
    """Ask for the browser's options for a new passkey."""

    permission = {"POST": "home"}

    @extend_schema(request=None, responses=forms.PasskeyBegunSerializer)
    def post(self, request: Request) -> Response:
        options, state = keys.begin_passkey(signed_in(request))
        return Response({"options": options, "state": state})


class MyPasskeys(APIView):
    """Register the passkey that the browser has made."""

    permission = {"POST": "home"}

    @extend_schema(request=forms.NewPasskeySerializer, responses={201: forms.SigningKeySerializer})
    def post(self, request: Request) -> Response:
        sent = read(forms.NewPasskeySerializer, request)
        document = keys.finish_passkey(signed_in(request), sent["credential"], sent["state"])
        return _registered(signed_in(request), document, sent["name"])


class Organisations(generics.ListAPIView[Organisation]):
    """The organisations that take part."""

    permission = {"GET": "home", "POST": "people.manage"}
    serializer_class = forms.OrganisationSerializer
    queryset = Organisation.objects.order_by("slug")

    @extend_schema(
        request=forms.OrganisationSerializer, responses={201: forms.OrganisationSerializer}
    )
    def post(self, request: Request) -> Response:
        created = actions.create_organisation(
            **read(forms.OrganisationSerializer, request), by=signed_in(request)
        )
        return Response(forms.OrganisationSerializer(created).data, status=201)


class Sites(generics.ListAPIView[Site]):
    """The sites, with what each says of its data sets."""

    permission = {"GET": "home", "POST": "people.manage"}
    serializer_class = forms.SiteSerializer
    queryset = Site.objects.select_related("organisation").order_by("slug")

    @extend_schema(request=forms.SiteSerializer, responses={201: forms.CreatedSiteSerializer})
    def post(self, request: Request) -> Response:
        site, token = actions.create_site(
            **read(forms.SiteSerializer, request), by=signed_in(request)
        )
        return Response(
            {"site": forms.SiteSerializer(site).data, "enrolment_token": token}, status=201
        )


class Enrolment(APIView):
    """Enrol a site's agent. The one-time token is the authority; no login."""

    permission = {"POST": PUBLIC}
    authentication_classes = ()
    throttle_classes = (ScopedRateThrottle,)
    throttle_scope = "login"

    @extend_schema(request=forms.EnrolmentSerializer, responses=forms.SiteSerializer)
    def post(self, request: Request, slug: str) -> Response:
        site = actions.enrol_site(slug=slug, **read(forms.EnrolmentSerializer, request))
        return Response(forms.SiteSerializer(site).data)


class People(generics.ListAPIView[User]):
    """Everyone with an account."""

    permission = {"GET": "people.manage", "POST": "people.manage"}
    serializer_class = forms.PersonSerializer
    queryset = (
        User.objects.select_related("organisation")
        .prefetch_related("memberships")
        .order_by("username")
    )

    @extend_schema(request=forms.NewPersonSerializer, responses={201: forms.PersonSerializer})
    def post(self, request: Request) -> Response:
        created = actions.create_person(
            **read(forms.NewPersonSerializer, request), by=signed_in(request)
        )
        return Response(forms.PersonSerializer(created).data, status=201)


class PersonRoles(APIView):
    """Give a person a role."""

    permission = {"POST": "people.manage"}

    @extend_schema(request=forms.RoleSerializer, responses=forms.PersonSerializer)
    def post(self, request: Request, member_id: str) -> Response:
        person = get_object_or_404(User, member_id=member_id)
        actions.grant_role(
            user=person, **read(forms.RoleSerializer, request), by=signed_in(request)
        )
        return Response(forms.PersonSerializer(person).data)


class PersonRole(APIView):
    """Take a role from a person."""

    permission = {"DELETE": "people.manage"}

    @extend_schema(responses={204: None})
    def delete(self, request: Request, member_id: str, role: str) -> Response:
        person = get_object_or_404(User, member_id=member_id)
        actions.remove_role(user=person, role=role, by=signed_in(request))
        return Response(status=204)


class PersonDeactivation(APIView):
    """Close a person's account."""

    permission = {"POST": "people.manage"}

    @extend_schema(request=None, responses=forms.PersonSerializer)
    def post(self, request: Request, member_id: str) -> Response:
        person = get_object_or_404(User, member_id=member_id)
        actions.deactivate_person(user=person, by=signed_in(request))
        return Response(forms.PersonSerializer(person).data)


def _registered(user: User, document: dict[str, Any], name: str) -> Response:
    key = actions.register_signing_key(user=user, document=document, name=name, by=user)
    return Response(forms.SigningKeySerializer(key).data, status=201)


urlpatterns = [
    path("login/", Login.as_view(), name="login"),
    path("logout/", Logout.as_view(), name="logout"),
    path("me/", Me.as_view(), name="me"),
    path("me/keys/", MyKeys.as_view(), name="my-keys"),
    path("me/passkeys/", MyPasskeys.as_view(), name="my-passkeys"),
    path("me/passkeys/begin/", BeginPasskey.as_view(), name="begin-passkey"),
    path("organisations/", Organisations.as_view(), name="organisations"),
    path("sites/", Sites.as_view(), name="sites"),
    path("sites/<slug:slug>/enrolment", Enrolment.as_view(), name="enrolment"),
    path("people/", People.as_view(), name="people"),
    path("people/<slug:member_id>/roles/", PersonRoles.as_view(), name="person-roles"),
    path("people/<slug:member_id>/roles/<slug:role>/", PersonRole.as_view(), name="person-role"),
    path(
        "people/<slug:member_id>/deactivation/",
        PersonDeactivation.as_view(),
        name="person-deactivation",
    ),
]
