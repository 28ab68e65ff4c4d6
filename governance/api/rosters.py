"""The roster: read the chain that sites follow, publish the next version."""

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import signed_in
from governance import actions
from governance.api.signing import sent_envelope
from governance.queries import current_roster, roster_chain
from governance.roster import fingerprint
from governance.serializers import RosterSerializer, SignedSerializer


class RosterChain(APIView):
    """Every roster, oldest first, with the fingerprint that sites pin."""

    permission = {"GET": "roster.view", "POST": "roster.publish"}

    @extend_schema(responses=RosterSerializer)
    def get(self, request: Request) -> Response:
        return _chain()

    @extend_schema(request=SignedSerializer, responses={201: RosterSerializer})
    def post(self, request: Request) -> Response:
        actions.publish_roster(envelope=sent_envelope(request), by=signed_in(request))
        return _chain(status=201)


def _chain(status: int = 200) -> Response:
    roster, chain = current_roster(), roster_chain()
    body = {
        "version": roster.version,
        "fingerprint": fingerprint(chain[0].digest),
        "rosters": [envelope.to_json() for envelope in chain],
    }
    return Response(body, status=status)


urlpatterns = [path("roster/", RosterChain.as_view(), name="roster")]
