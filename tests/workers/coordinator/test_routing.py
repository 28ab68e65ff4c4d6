"""Websockets at addresses that nobody serves, and browsers' live pages."""

import json

import pytest
from asgiref.sync import sync_to_async
from django.test import Client

from accounts.models import Membership
from governance import dispatch
from tests.workers.coordinator.house import House
from tests.workers.coordinator.websocket import WebSocket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def house(transactional_db: None, portal_keys: None) -> House:
    house = House()
    Membership.objects.create(user=house.users["m-ines"], role="pi")
    Membership.objects.create(user=house.users["m-pete"], role="portal_operator")
    return house


def browser(house: House, member: str | None, *, origin: str = "http://localhost") -> WebSocket:
    headers = [(b"origin", origin.encode()), (b"host", b"localhost")]
    if member is not None:
        client = Client()
        client.force_login(house.users[member])
        cookie = "; ".join(f"{name}={item.value}" for name, item in client.cookies.items())
        headers.append((b"cookie", cookie.encode()))
    path = f"/ws/studies/{house.plan.study}/"
    return WebSocket(path, headers)


async def test_the_author_is_told_that_something_changed_and_nothing_else(house: House) -> None:
    socket = await sync_to_async(browser)(house, "m-ines")
    assert await socket.connect()
    await sync_to_async(dispatch.hint)(dispatch.study_group(house.plan.study))
    assert json.loads(await socket.receive()) == {"type": "changed"}
    await socket.disconnect()


@pytest.mark.parametrize("member", [None, "m-pete", "m-otto"])
async def test_who_may_not_see_the_study_is_not_told(house: House, member: str | None) -> None:
    socket = await sync_to_async(browser)(house, member)
    assert not await socket.connect()


async def test_another_site_cannot_use_the_browsers_cookies(house: House) -> None:
    socket = await sync_to_async(browser)(house, "m-ines", origin="https://evil.example")
    assert not await socket.connect()


@pytest.mark.parametrize("path", ["/", "/agent/v2/control", "/relay/v1/short", "/ws/studies/"])
async def test_other_addresses_are_refused(house: House, path: str) -> None:
    assert not await WebSocket(path).connect()


async def test_the_relay_lets_nobody_in_without_a_credential(house: House) -> None:
    await sync_to_async(house.start)()
    await sync_to_async(house.play)("invitation", "manifest")
    session = (await sync_to_async(lambda: house.attempt)()).session
    socket = WebSocket(f"/relay/v1/{session}")
    assert not await socket.connect()
