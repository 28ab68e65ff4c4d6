"""A client's end of a websocket inside this process (Channels' own needs daphne, which we lack)."""

from typing import Any

from asgiref.testing import ApplicationCommunicator

from portal.asgi import application


class WebSocket:
    """One websocket to the portal's ASGI application."""

    def __init__(self, path: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": b"",
            "headers": headers or [],
            "subprotocols": [],
        }
        self._communicator = ApplicationCommunicator(application, scope)

    async def connect(self) -> bool:
        """Return whether the portal accepts the connection."""
        await self._communicator.send_input({"type": "websocket.connect"})
        event = await self._communicator.receive_output(5)
        return bool(event["type"] == "websocket.accept")

    async def send(self, frame: str | bytes) -> None:
        """Send one frame, text or binary."""
        kind = "text" if isinstance(frame, str) else "bytes"
        await self._communicator.send_input({"type": "websocket.receive", kind: frame})

    async def receive(self, seconds: float = 5) -> str:
        """Return the next text frame."""
        event = await self._communicator.receive_output(seconds)
        assert event["type"] == "websocket.send", event
        return str(event["text"])

    async def closed(self) -> int:
        """Return the code with which the portal closes the connection, whatever it says before."""
        event: dict[str, Any] = {}
        while event.get("type") != "websocket.close":
            event = await self._communicator.receive_output(5)
        return int(event["code"])

    async def disconnect(self) -> None:
        """Leave, and wait until the portal has put everything away."""
        await self._communicator.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._communicator.wait(5)
