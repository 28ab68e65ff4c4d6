"""Live pages: a browser that looks at a study is told that something changed, and nothing else.

The page then fetches what it may see through the same views as ever, so that a socket can never
show more than the page itself.
"""

from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth.models import AnonymousUser

from accounts.models import User
from accounts.permissions import has_permission
from governance.dispatch import study_group
from studies.queries import visible_to

CLOSE_NOT_FOUND = 4404


class RunConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]
    """One browser's websocket at /ws/studies/<identifier>/."""

    async def connect(self) -> None:
        """Accept a signed-in person who may see the study; refuse everyone else alike."""
        identifier = self.scope["url_route"]["kwargs"]["identifier"]
        user = self.scope.get("user")
        if not await database_sync_to_async(_may_see)(user, identifier):
            await self.close(CLOSE_NOT_FOUND)
            return
        self._group = study_group(identifier)
        await self.channel_layer.group_add(self._group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        """Leave the study's group."""
        if group := getattr(self, "_group", None):
            await self.channel_layer.group_discard(group, self.channel_name)

    async def receive_json(self, content: Any, **_kwargs: Any) -> None:
        """Ignore what a browser says: it has nothing to say here."""

    async def changed(self, _event: dict[str, Any]) -> None:
        """Pass the hint on."""
        await self.send_json({"type": "changed"})


def _may_see(user: User | AnonymousUser | None, identifier: str) -> bool:
    if not isinstance(user, User) or not has_permission(user, "study.view"):
        return False
    return bool(visible_to(user).filter(identifier=identifier).exists())
