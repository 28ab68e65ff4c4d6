"""The relay by itself: whom it admits, what it forwards, when it ends a session, what it holds."""

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.workers.transport.parties import SITES, Attempt
from tests.workers.transport.servers import Relay, RelayProcess, relay
from workers.coordinator.relay_connection import Connection
from workers.transport import notices
from workers.transport.frames import (
    ACKNOWLEDGEMENT_BYTES,
    MAX_CHUNK_BYTES,
    MAX_RELAY_MESSAGE_BYTES,
    TAG_BYTES,
    Header,
    Kind,
    wrap,
)

pytestmark = pytest.mark.asyncio
WAIT_SECONDS = 10


@pytest.fixture
def server() -> Iterator[Relay]:
    with relay() as running:
        yield running


async def dial(url: str, *headers: str, **options: Any) -> ClientConnection:
    """A websocket without any of the product's client code."""
    return await connect(
        url,
        additional_headers=[("Authorization", header) for header in headers],
        proxy=None,
        compression=None,
        ping_interval=None,
        **options,
    )


async def join(server: Relay, attempt: Attempt, party: int, **options: Any) -> ClientConnection:
    return await dial(server.url + attempt.path(), attempt.header(party), **options)


async def notice(socket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_SECONDS):
        text = await socket.recv()
    assert isinstance(text, str), "a notice was expected, a frame came"
    return dict(json.loads(text))


async def frame_from(socket: ClientConnection) -> bytes:
    async with asyncio.timeout(WAIT_SECONDS):
        message = await socket.recv()
    assert isinstance(message, bytes), f"a frame was expected, {message!r} came"
    return message


async def close_code(socket: ClientConnection) -> int | None:
    async with asyncio.timeout(WAIT_SECONDS):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed:
            return socket.close_code


def message(
    attempt: Attempt,
    sender: int,
    receiver: int,
    *,
    epoch: int = 1,
    sequence: int = 0,
    payload_bytes: int = 8,
    more: bool = False,
) -> bytes:
    header = Header(attempt.session_id, Kind.DATA, sender, receiver, sequence, more)
    return wrap(receiver, epoch, header.to_bytes() + bytes(payload_bytes + TAG_BYTES))


async def all_ready(server: Relay, attempt: Attempt) -> list[ClientConnection]:
    sockets = [await join(server, attempt, party) for party in range(attempt.parties)]
    for socket in sockets:
        while (await notice(socket))["type"] != "ready":
            pass
    return sockets


async def hang_up(*sockets: ClientConnection) -> None:
    for socket in sockets:
        socket.transport.abort()


# Whom it admits


async def test_a_member_with_a_fresh_signature_is_admitted(server: Relay) -> None:
    attempt = server.attempt()
    socket = await join(server, attempt, 0)
    assert await notice(socket) == {"type": "waiting", "missing": [1, 2]}
    await hang_up(socket)


@pytest.mark.parametrize(
    "case",
    [
        "no header",
        "two headers",
        "no credential",
        "wrong key",
        "another member's key",
        "stale",
        "from the future",
        "nonce used before",
        "unknown session",
        "session of another path",
        "site that is no member",
        "path without a session",
    ],
)
async def test_everybody_else_gets_403_before_the_handshake(server: Relay, case: str) -> None:
    attempt, other = server.attempt(), server.attempt()
    used = attempt.header(1)
    admitted = await dial(server.url + attempt.path(), used)
    path = attempt.path()
    now = int(time.time())
    stranger = Attempt()
    headers = {
        "no header": [],
        "two headers": [attempt.header(0), attempt.header(0)],
        "no credential": ["Quorate-Party e30"],
        "wrong key": [signed_by(Ed25519PrivateKey.generate(), attempt)],
        "another member's key": [signed_by(attempt.identities[1], attempt)],
        "stale": [attempt.header(0, issued_at=now - 302)],
        "from the future": [attempt.header(0, issued_at=now + 302)],
        "nonce used before": [used],
        "unknown session": [stranger.header(0)],
        "session of another path": [other.header(0)],
        "site that is no member": [attempt.header(0, site="elsewhere")],
        "path without a session": [attempt.header(0)],
    }[case]
    if case == "unknown session":
        path = stranger.path()
    if case == "path without a session":
        path = "/relay/v1/"
    with pytest.raises(InvalidStatus) as refused:
        await dial(server.url + path, *headers)
    assert refused.value.response.status_code == 403
    await hang_up(admitted)


def signed_by(key: Ed25519PrivateKey, attempt: Attempt) -> str:
    forged = Attempt(session_id=attempt.session_id)
    forged.identities[0] = key
    return forged.header(0)


# What it forwards


async def test_frames_are_forwarded_unchanged_and_in_order(server: Relay) -> None:
    attempt = server.attempt()
    sockets = await all_ready(server, attempt)
    sent = [
        message(attempt, 0, 2, sequence=index, payload_bytes=size)
        for index, size in enumerate([1, 1000, MAX_CHUNK_BYTES])
    ]
    assert len(sent[-1]) == MAX_RELAY_MESSAGE_BYTES
    for each in sent:
        await sockets[0].send(each)
    assert [await frame_from(sockets[2]) for _ in sent] == sent
    await hang_up(*sockets)


async def test_frames_of_an_older_epoch_are_dropped_without_an_error(server: Relay) -> None:
    attempt = server.attempt(2)
    first, second = await all_ready(server, attempt)
    await hang_up(second)
    assert await notice(first) == {"type": "waiting", "missing": [1]}
    await first.send(message(attempt, 0, 1, epoch=1, sequence=0))
    second = await join(server, attempt, 1)
    assert await notice(second) == {"type": "ready", "epoch": 2}
    assert await notice(first) == {"type": "ready", "epoch": 2}
    await first.send(message(attempt, 0, 1, epoch=1, sequence=1))
    await first.send(message(attempt, 0, 1, epoch=3, sequence=2))
    await first.send(message(attempt, 0, 1, epoch=2, sequence=3))
    assert await frame_from(second) == message(attempt, 0, 1, epoch=2, sequence=3)
    await hang_up(first, second)


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("too big", 1009),
        ("far too big", 1009),
        ("text", notices.CLOSE_UNSUPPORTED),
        ("empty", notices.CLOSE_FORGED),
        ("no frame", notices.CLOSE_FORGED),
        ("another sender", notices.CLOSE_FORGED),
        ("another session", notices.CLOSE_FORGED),
        ("another addressee", notices.CLOSE_FORGED),
    ],
)
async def test_what_a_party_may_not_send_closes_its_connection(
    server: Relay, case: str, code: int
) -> None:
    attempt, other = server.attempt(2), Attempt(2)
    first, second = await all_ready(server, attempt)
    good = message(attempt, 0, 1)
    payloads: dict[str, str | bytes] = {
        "too big": good + bytes(MAX_RELAY_MESSAGE_BYTES + 1 - len(good)),
        "far too big": bytes(5 * 1024 * 1024),
        "text": "hello",
        "empty": b"",
        "no frame": bytes(100),
        "another sender": message(attempt, 1, 1),
        "another session": message(other, 0, 1),
        "another addressee": b"\2" + good[1:],
    }
    with suppress(ConnectionClosed):  # the server may close before it has read all
        await first.send(payloads[case])
    assert await close_code(first) == code
    assert (await notice(second))["type"] in ("waiting", "aborted")
    await hang_up(second)


async def test_a_second_connection_of_a_party_replaces_the_first(server: Relay) -> None:
    attempt = server.attempt(2)
    first, second = await all_ready(server, attempt)
    again = await join(server, attempt, 1)
    assert await close_code(second) == notices.CLOSE_REPLACED
    assert await notice(again) == {"type": "ready", "epoch": 2}
    assert await notice(first) == {"type": "ready", "epoch": 2}
    await first.send(message(attempt, 0, 1, epoch=2))
    assert await frame_from(again) == message(attempt, 0, 1, epoch=2)
    assert server.lost == []
    await hang_up(first, again)


async def test_sessions_do_not_touch_each_other(server: Relay) -> None:
    attempts = [server.attempt(2) for _ in range(5)]
    pairs = [await all_ready(server, attempt) for attempt in attempts]
    for attempt, (first, _) in zip(attempts, pairs, strict=True):
        await first.send(message(attempt, 0, 1))
    for attempt, (first, second) in zip(attempts, pairs, strict=True):
        assert await frame_from(second) == message(attempt, 0, 1)
        await hang_up(first, second)


# When it ends a session


async def test_a_lost_party_is_announced_and_after_its_grace_the_session_ends() -> None:
    with relay(grace_seconds=0.2, join_seconds=3600) as server:
        attempt = server.attempt()
        sockets = await all_ready(server, attempt)
        await hang_up(sockets[1])
        for socket in (sockets[0], sockets[2]):
            assert await notice(socket) == {"type": "waiting", "missing": [1]}
            assert await notice(socket) == {"type": "aborted", "missing": [1]}
            assert await close_code(socket) == notices.CLOSE_ABORTED
        assert await asyncio.to_thread(server.someone_lost.wait, WAIT_SECONDS)
        assert server.lost == [(attempt.session, (SITES[1],))]
        late = await join(server, attempt, 1)
        assert await notice(late) == {"type": "aborted", "missing": [1]}
        assert await close_code(late) == notices.CLOSE_ABORTED


async def test_all_that_never_joined_are_lost_together() -> None:
    with relay(grace_seconds=3600, join_seconds=0.2) as server:
        attempt = server.attempt()
        socket = await join(server, attempt, 0)
        assert await notice(socket) == {"type": "waiting", "missing": [1, 2]}
        assert await notice(socket) == {"type": "aborted", "missing": [1, 2]}
        assert await asyncio.to_thread(server.someone_lost.wait, WAIT_SECONDS)
        assert server.lost == [(attempt.session, (SITES[1], SITES[2]))]


async def test_parties_that_finish_are_not_missed() -> None:
    with relay(grace_seconds=0.2) as server:
        attempt = server.attempt()
        sockets = await all_ready(server, attempt)
        await sockets[0].close(notices.CLOSE_LEFT)
        for socket in sockets[1:]:
            assert await notice(socket) == {"type": "left", "party": 0}
        await sockets[1].send(message(attempt, 1, 2))
        assert await frame_from(sockets[2]) == message(attempt, 1, 2)
        await sockets[1].send(message(attempt, 1, 0))  # for one that has left: dropped
        await hang_up(sockets[2])
        assert await notice(sockets[1]) == {"type": "waiting", "missing": [2]}
        back = await join(server, attempt, 2)
        assert await notice(back) == {"type": "left", "party": 0}
        assert await notice(back) == {"type": "ready", "epoch": 2}
        await back.close(notices.CLOSE_LEFT)
        await sockets[1].close(notices.CLOSE_LEFT)
        late = await join(server, attempt, 1)
        assert [await notice(late), await notice(late)] == [
            {"type": "left", "party": 0},
            {"type": "left", "party": 2},
        ]
        assert await close_code(late) == notices.CLOSE_LEFT
        assert server.lost == []


async def test_a_party_that_gives_up_ends_the_session_at_once() -> None:
    with relay(grace_seconds=3600, join_seconds=3600) as server:
        attempt = server.attempt()
        sockets = await all_ready(server, attempt)
        await sockets[2].close(notices.CLOSE_GAVE_UP)
        for socket in sockets[:2]:
            assert await notice(socket) == {"type": "aborted", "missing": [2]}
        assert await asyncio.to_thread(server.someone_lost.wait, WAIT_SECONDS)
        assert server.lost == [(attempt.session, (SITES[2],))]


async def test_a_party_that_reads_nothing_is_dropped_and_nobody_waits_for_it_for_ever() -> None:
    with relay(stall_seconds=0.3, grace_seconds=0.2) as server:
        attempt = server.attempt()
        sockets = await all_ready(server, attempt)
        sockets[1].transport.pause_reading()
        pushing = asyncio.create_task(push(sockets[0], attempt, 10_000))
        while (told := await notice(sockets[2]))["type"] != "aborted":
            assert told == {"type": "waiting", "missing": [1]}
        assert told == {"type": "aborted", "missing": [1]}
        async with asyncio.timeout(WAIT_SECONDS):
            await asyncio.gather(pushing, return_exceptions=True)
        assert server.lost == [(attempt.session, (SITES[1],))]
        await hang_up(*sockets)


async def test_all_who_wait_for_a_socket_that_takes_nothing_are_let_go_at_once() -> None:
    """Their limits run out in the same turn of the loop: dropping must not trip over that."""

    async def never(_event: object) -> None:
        await asyncio.Event().wait()

    connection = Connection(1, never, stall_seconds=0.05)
    async with asyncio.timeout(WAIT_SECONDS):
        await asyncio.gather(*(connection.notify(notices.Left(0)) for _ in range(50)))
        await connection.notify(notices.Left(0))  # dropped: returns without a wait


async def test_a_reconnecting_party_frees_whoever_was_held_up_by_its_dead_connection() -> None:
    """The old socket is full and silent, as after a network loss: it must not block the new one."""
    with relay(stall_seconds=3600) as server:
        attempt = server.attempt(2)
        first, second = await all_ready(server, attempt)
        second.transport.pause_reading()
        pushing = asyncio.create_task(push(first, attempt, 10_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.shield(pushing)
        again = await join(server, attempt, 1)
        assert await notice(again) == {"type": "ready", "epoch": 2}
        await stop(pushing)
        await first.send(message(attempt, 0, 1, epoch=2))
        assert await frame_from(again) == message(attempt, 0, 1, epoch=2)
        await hang_up(first, second, again)


async def push(socket: ClientConnection, attempt: Attempt, frames: int) -> int:
    """Send big frames; how many went out before the connection ended or the task was stopped."""
    sent = 0
    try:
        for sequence in range(frames):
            await socket.send(
                message(attempt, 0, 1, sequence=sequence, payload_bytes=MAX_CHUNK_BYTES)
            )
            sent += 1
    except (ConnectionClosed, asyncio.CancelledError):
        pass
    return sent


async def stop(task: "asyncio.Task[int]") -> int:
    task.cancel()
    async with asyncio.timeout(WAIT_SECONDS):
        return await task


# What it holds


async def test_a_receiver_that_does_not_read_holds_up_the_sender_not_the_memory(
    tmp_path: Path,
) -> None:
    frames = 200
    attempt = Attempt(2)
    with RelayProcess(attempt, tmp_path) as process:
        process.start(tap=False)
        first, second = [
            await dial(process.url + attempt.path(), attempt.header(party)) for party in range(2)
        ]
        while (await notice(first))["type"] != "ready":
            pass
        assert (await notice(second))["type"] == "ready"
        before = process.peak_resident_bytes()
        second.transport.pause_reading()
        pushing = asyncio.create_task(push(first, attempt, frames))
        finished, _ = await asyncio.wait([pushing], timeout=1.5)
        assert not finished, "the sender was never held up"
        assert process.peak_resident_bytes() - before < 64 << 20
        second.transport.resume_reading()
        for _ in range(frames):
            assert len(await frame_from(second)) == MAX_RELAY_MESSAGE_BYTES
        async with asyncio.timeout(WAIT_SECONDS):
            assert await pushing == frames
        assert process.peak_resident_bytes() - before < 64 << 20
        await hang_up(first, second)


async def test_many_small_frames_are_all_forwarded_in_order(server: Relay) -> None:
    attempt = server.attempt(2)
    first, second = await all_ready(server, attempt)

    async def send_all() -> None:
        for sequence in range(5_000):
            await first.send(
                message(attempt, 0, 1, sequence=sequence, payload_bytes=ACKNOWLEDGEMENT_BYTES)
            )

    sending = asyncio.create_task(send_all())
    for sequence in range(5_000):
        expected = message(attempt, 0, 1, sequence=sequence, payload_bytes=ACKNOWLEDGEMENT_BYTES)
        assert await frame_from(second) == expected
    await sending
    await hang_up(first, second)


async def test_nothing_is_remembered_of_strangers(server: Relay) -> None:
    for _ in range(20):
        stranger = Attempt(session_id=secrets.token_bytes(16))
        with pytest.raises(InvalidStatus):
            await dial(server.url + stranger.path(), stranger.header(0))
    closure = server.application.__closure__
    (held,) = [cell.cell_contents for cell in closure]
    assert held._sessions == {}
    assert held._credentials._used == {}
