"""The pages that belong to no single app: home, notifications, health."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.permissions import public, requires, signed_in
from governance.models import Notification
from governance.worklists import waiting_for

_SHOWN_NOTIFICATIONS = 10


@requires("home")
def home(request: HttpRequest) -> HttpResponse:
    """Show what waits for the person, what is under way and what is done."""
    user = signed_in(request)
    notifications = Notification.objects.filter(user=user).order_by("-created_at", "-pk")
    context = {
        "worklist": waiting_for(user),
        "notifications": notifications[:_SHOWN_NOTIFICATIONS],
        "unread": notifications.filter(read_at=None).count(),
    }
    return render(request, "portal/home.html", context)


@requires(POST="home")
@require_POST
def read_notifications(request: HttpRequest) -> HttpResponse:
    """Mark all of one's notifications as read."""
    unread = Notification.objects.filter(user=signed_in(request), read_at=None)
    unread.update(read_at=timezone.now())
    return redirect("home")


@public
def health(request: HttpRequest) -> HttpResponse:
    """Tell a load balancer that the portal answers and reaches its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok\n", content_type="text/plain")
