"""Every websocket address of the portal: agents, the relay, and browsers' live pages."""

from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.security.websocket import AllowedHostsOriginValidator
from django.conf import settings
from django.urls import re_path

from workers.coordinator.consumers import ControlConsumer
from workers.coordinator.live_pages import RunConsumer
from workers.coordinator.relay import create_relay
from workers.coordinator.relay_directory import members_of, on_lost

relay = create_relay(
    members_of,
    on_lost,
    grace_seconds=settings.RELAY_GRACE_SECONDS,
    join_seconds=settings.RELAY_JOIN_SECONDS,
)


async def refuse(_scope: Any, receive: Any, send: Any) -> None:
    """Refuse a websocket at any other address before it is accepted (HTTP 403)."""
    await receive()
    await send({"type": "websocket.close", "code": 4404})


# Django's stubs know views only; Channels' router takes any ASGI application.
_applications: list[tuple[str, Any]] = [
    (r"^agent/v1/control$", ControlConsumer.as_asgi()),
    (r"^relay/v1/(?P<session>[0-9a-f]{32})$", relay),
    # Browsers alone send cookies, so theirs alone needs its origin checked.
    (
        r"^ws/studies/(?P<identifier>[-a-zA-Z0-9_]+)/$",
        AllowedHostsOriginValidator(AuthMiddlewareStack(RunConsumer.as_asgi())),
    ),
    (r"", refuse),
]
websocket_urlpatterns = [re_path(address, served) for address, served in _applications]
