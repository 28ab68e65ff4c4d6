"""Where HTTP and websockets come in; the only place the two meet.

Serve it by uvicorn, which has the back-pressure that the relay needs:

    uvicorn portal.asgi:application --ws websockets-sansio --ws-per-message-deflate false
"""

import os

from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
http_application = get_asgi_application()

# Only now, for the consumers import models.
from workers.coordinator.routing import websocket_urlpatterns  # noqa: E402

application = ProtocolTypeRouter(
    {"http": http_application, "websocket": URLRouter(websocket_urlpatterns)}
)
