"""The control connection: who gets in, what closes it, and a run from end to end over it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from celery import current_app
from django.conf import settings

from governance import dispatch
from governance.models import Release, Run
from tests.factories.evidence import SITES
from tests.workers.coordinator.house import FakeSite, House
from tests.workers.coordinator.websocket import WebSocket
from workers.coordinator import consumers, reconciliation
from workers.coordinator.models import Witness
from workers.transport.control import (
    CLOSE_MALFORMED,
    CLOSE_NOT_AUTHENTICATED,
    CLOSE_REPLACED,
    CLOSE_VERSION,
    Message,
    Sender,
    format_message,
    hello_bytes,
    parse_message,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(transactional_db: None, portal_keys: None, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house whose Celery tasks run at once, and a reconciler that has not looked yet."""
    import workers.coordinator.tasks  # noqa: F401 - registers the tasks

    def at_once(name: str, args: list[str], **_: object) -> None:
        current_app.tasks[name](*args)

    monkeypatch.setattr(dispatch.current_app, "send_task", at_once)
    monkeypatch.setattr(reconciliation, "_reconciler", reconciliation.Reconciler())
    return House()


class Agent:
    """A fake site's end of a control connection."""

    def __init__(self, site: FakeSite) -> None:
        self.site = site
        self.socket = WebSocket("/agent/v1/control")

    async def connect(self) -> Message:
        assert await self.socket.connect()
        return await self.hear()

    async def enter(self, **changes: Any) -> None:
        """Connect, answer the challenge, and be welcomed."""
        challenge = await self.connect()
        await self.say(self.hello(challenge, **changes))
        await self.hear("welcome")
        await self.hear("rosters")

    def hello(self, challenge: Message, **changes: Any) -> Message:
        name = self.site.name
        key = self.site.consortium.site_key(name)
        signed = hello_bytes(portal=challenge["portal"], nonce=challenge["nonce"], site=name)
        return {
            "type": "hello",
            "version": 1,
            "site": name,
            "register": self.site.consortium.register(name).to_json(),
            "checkpoint": None,
            "entries": 0,
            "signature": key.sign(signed).hex(),
            **changes,
        }

    async def say(self, message: Message) -> None:
        await self.socket.send(format_message(message, sender=Sender.AGENT))

    async def hear(self, kind: str = "", *, seconds: float = 5) -> Message:
        """Return the next message, or the next one of the type `kind`."""
        while True:
            frame = await self.socket.receive(seconds)
            message = parse_message(frame, sender=Sender.PORTAL)
            if kind in ("", message["type"]):
                return message

    async def serve(self) -> None:
        """Answer like an honest site until cancelled."""
        while True:
            reply = self.site.answer(await self.hear(seconds=20))
            if reply is not None:
                await self.say(reply)


NewAgent = Callable[[str], Agent]


@pytest.fixture
async def new_agent(house: House) -> AsyncIterator[NewAgent]:
    """Make agents, and see to it that none is still at work when the tables are emptied."""
    made = []

    def make(site: str) -> Agent:
        made.append(Agent(house.sites[site]))
        return made[-1]

    yield make
    for agent in made:
        await agent.socket.disconnect()


@pytest.fixture
async def agent(new_agent: NewAgent) -> Agent:
    return new_agent("alder")


async def test_an_agent_proves_its_site_and_is_welcomed(house: House, agent: Agent) -> None:
    challenge = await agent.connect()
    assert (challenge["version"], challenge["portal"]) == (1, settings.PUBLIC_URL)
    await agent.say(agent.hello(challenge, checkpoint={"size": 7, "root": "ab" * 32}))
    welcome = await agent.hear()
    assert (welcome["type"], welcome["site"]) == ("welcome", "alder")
    site = await sync_to_async(house.row)("alder")
    assert site.last_seen_at is not None
    assert site.data_sets[0]["name"] == "lung"
    witness = await Witness.objects.aget(site=site)
    assert (witness.size, witness.root) == (7, "ab" * 32)


async def test_another_key_does_not_get_in(house: House, agent: Agent) -> None:
    challenge = await agent.connect()
    stolen = Agent(house.sites["birch"]).hello(challenge)
    await agent.say({**agent.hello(challenge), "signature": stolen["signature"]})
    assert await agent.socket.closed() == CLOSE_NOT_AUTHENTICATED


async def test_a_hello_to_another_portal_does_not_get_in(agent: Agent) -> None:
    challenge = await agent.connect()
    await agent.say(agent.hello({**challenge, "portal": "https://evil.example"}))
    assert await agent.socket.closed() == CLOSE_NOT_AUTHENTICATED


async def test_a_hello_recorded_earlier_does_not_get_in(agent: Agent) -> None:
    challenge = await agent.connect()
    await agent.say(agent.hello({**challenge, "nonce": "00" * 32}))
    assert await agent.socket.closed() == CLOSE_NOT_AUTHENTICATED


async def test_a_site_that_is_not_enrolled_does_not_get_in(house: House, agent: Agent) -> None:
    site = await sync_to_async(house.row)("alder")
    site.identity_key = ""
    await site.asave()
    await agent.say(agent.hello(await agent.connect()))
    assert await agent.socket.closed() == CLOSE_NOT_AUTHENTICATED


async def test_a_register_that_another_site_signed_does_not_get_in(
    house: House, agent: Agent
) -> None:
    register = house.consortium.register("birch").to_json()
    await agent.say(agent.hello(await agent.connect(), register=register))
    assert await agent.socket.closed() == CLOSE_NOT_AUTHENTICATED


async def test_another_version_is_turned_away(agent: Agent) -> None:
    await agent.say(agent.hello(await agent.connect(), version=2))
    assert await agent.socket.closed() == CLOSE_VERSION


async def test_nothing_is_taken_before_the_hello(agent: Agent) -> None:
    await agent.connect()
    await agent.say({"type": "heartbeat"})
    assert await agent.socket.closed() == CLOSE_NOT_AUTHENTICATED


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{}",
        "[]",
        '{"type":"heartbeat", "extra":1}',
        '{"type": "heartbeat"}',
        '{"type":"welcome","site":"alder","heartbeat_seconds":1}',
        '{"type":"heartbeat"}' + " " * (1 << 20),
        "[" * 100_000,
        b'{"type":"heartbeat"}',
    ],
    ids=[
        "empty",
        "no type",
        "no object",
        "unknown field",
        "not canonical",
        "not an agent's",
        "too long",
        "too deep",
        "binary",
    ],
)
async def test_a_malformed_frame_closes_the_connection(agent: Agent, frame: str | bytes) -> None:
    await agent.enter()
    await agent.socket.send(frame)
    assert await agent.socket.closed() == CLOSE_MALFORMED


async def test_a_second_hello_closes_the_connection(agent: Agent) -> None:
    challenge = await agent.connect()
    await agent.say(agent.hello(challenge))
    await agent.hear()
    await agent.say(agent.hello(challenge))
    assert await agent.socket.closed() == CLOSE_MALFORMED


async def test_the_newest_connection_of_a_site_wins(agent: Agent, new_agent: NewAgent) -> None:
    await agent.enter()
    newer = new_agent("alder")
    await newer.enter()
    assert await agent.socket.closed() == CLOSE_REPLACED
    await newer.say({"type": "heartbeat"})
    await newer.hear("heartbeat")


async def test_a_flood_of_messages_closes_the_connection(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "WINDOW_MESSAGES", 3)
    await agent.enter()
    for _ in range(3):
        await agent.say({"type": "heartbeat"})
    assert await agent.socket.closed() == consumers.CLOSE_TOO_MANY


async def test_what_cannot_be_taken_is_answered_with_an_error(agent: Agent) -> None:
    await agent.enter()
    await agent.say({"type": "progress", "run": "run-x", "attempt": 1, "step": "queued"})
    assert (await agent.hear("error"))["code"] == "attempt_unknown"


async def test_what_is_owed_is_sent_again_on_every_connection(
    house: House, agent: Agent, new_agent: NewAgent
) -> None:
    await sync_to_async(house.start)()
    await agent.enter()
    first = await agent.hear()
    again = new_agent("alder")
    await again.enter()
    assert await again.hear() == first
    assert first["type"] == "invitation"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "EVERY_SECONDS", 0.02)


async def test_three_agents_carry_a_run_to_its_opened_result(
    house: House, new_agent: NewAgent, quick: None
) -> None:
    agents = [new_agent(site) for site in SITES]
    for agent in agents:
        await agent.enter()
    serving = [asyncio.create_task(agent.serve()) for agent in agents]
    try:
        async with asyncio.timeout(20):
            # Only a hint that something changed: the connections find out what.
            await sync_to_async(dispatch.hint)(dispatch.AGENTS)
            while not await Release.objects.filter(state=Release.State.OPENED).aexists():
                for task in serving:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.02)
    finally:
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
    run = await Run.objects.aget(pk=house.run.pk)
    assert run.state == Run.State.SUCCEEDED
    for agent in agents:
        expected = ["invitation", "manifest", "start", "entries", "checkpoint", "permit"]
        assert agent.site.heard == expected
