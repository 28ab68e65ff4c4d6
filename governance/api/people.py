"""What concerns one person: their lists and their notifications."""

from django.db.models import QuerySet
from django.urls import path
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import signed_in
from governance.models import Notification
from governance.serializers import NotificationSerializer, WorklistSerializer
from governance.worklists import waiting_for


class MyWorklist(APIView):
    """What waits for one, what is under way, what is done."""

    permission = {"GET": "home"}

    @extend_schema(responses=WorklistSerializer)
    def get(self, request: Request) -> Response:
        return Response(WorklistSerializer(waiting_for(signed_in(request))).data)


class Notifications(generics.ListAPIView[Notification]):
    """One's notifications, newest first; mark all as read."""

    permission = {"GET": "home", "POST": "home"}
    serializer_class = NotificationSerializer

    def get_queryset(self) -> QuerySet[Notification]:
        return signed_in(self.request).notifications.order_by("-pk")

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request) -> Response:
        unread = signed_in(request).notifications.filter(read_at__isnull=True)
        unread.update(read_at=timezone.now())
        return Response(status=204)


urlpatterns = [
    path("me/worklist/", MyWorklist.as_view(), name="worklist"),
    path("notifications/", Notifications.as_view(), name="notifications"),
]
