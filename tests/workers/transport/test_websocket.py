"""The channel over real sockets: outages, losses, evil relays, proxies, certificates, limits."""

import asyncio
import ipaddress
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.workers.transport import mutations
from tests.workers.transport.parties import (
    Attempt,
    WrongDelivery,
    at_once,
    content,
    converse,
    each_party,
    expected,
    talk,
    talk_result,
)
from tests.workers.transport.servers import Deliver, Relay, RelayProcess, Wire, relay
from workers.mpc.errors import LocalProtocolError, ProtocolError
from workers.mpc.protocol import PartyId, Round
from workers.transport.channel import run
from workers.transport.dialling import tls_context
from workers.transport.errors import (
    ChannelLost,
    FrameError,
    NotAdmitted,
    SessionAborted,
    TransportError,
)
from workers.transport.frames import (
    ENVELOPE_BYTES,
    HEADER_BYTES,
    MAX_CHUNK_BYTES,
    MAX_FRAME_BYTES,
    Kind,
    parse_header,
)
from workers.transport.session import WINDOW_BYTES
from workers.transport.websocket import RelayChannel

ZERO, ONE, TWO = PartyId(0), PartyId(1), PartyId(2)


@pytest.fixture(scope="module")
def server() -> Iterator[Relay]:
    with relay() as running:
        yield running


def test_three_parties_talk_and_their_transcripts_agree(server: Relay) -> None:
    sizes = [100, 3 * MAX_CHUNK_BYTES + 5, 1]
    attempt = server.attempt()
    channels = [attempt.channel(party, server.url) for party in range(3)]
    flushed: list[Any] = [None] * 3

    def take_part(own: int) -> str:
        with channels[own] as channel:
            result = run(talk(own, 3, sizes), channel)
            flushed[own] = channel.close()
            return result

    outcomes = each_party(3, take_part)
    assert outcomes == expected(3, sizes)
    assert flushed == [True] * 3
    digests = [channel.transcript_digests() for channel in channels]
    for own in range(3):
        for peer in digests[own]:
            assert digests[own][peer]["sent"] == digests[peer][own]["received"]
    assert server.lost == []


def test_all_may_write_at_once_however_little_the_network_holds() -> None:
    """Whoever stopped reading while it writes would now wait for ever for those that do so too."""
    sizes = [6 * MAX_CHUNK_BYTES]
    with relay(buffer_bytes=16_384) as server:
        attempt = server.attempt(5)
        channels = [attempt.channel(party, server.url, deadline_seconds=10) for party in range(5)]
        assert converse(channels, sizes) == expected(5, sizes)


# Outages


@pytest.mark.parametrize("die_after", [1, 4, 8, 13, 19])
def test_a_relay_that_is_killed_and_restarted_changes_nothing(
    die_after: int, tmp_path: Path
) -> None:
    """SIGKILL at the given frame, a fresh process on the same port: identical frames again."""
    sizes = [10, 2 * MAX_CHUNK_BYTES + 1, 10, 10]
    attempt = Attempt()
    with RelayProcess(attempt, tmp_path) as server:
        server.start(die_after=die_after)

        def restart() -> None:
            assert server.process is not None
            server.process.wait()
            server.start()

        watcher = threading.Thread(target=restart)
        watcher.start()
        outcomes = converse([attempt.channel(p, server.url) for p in range(3)], sizes)
        watcher.join(30)
        assert not watcher.is_alive(), "the relay was never killed"
        assert outcomes == expected(3, sizes)
        payloads = server.payloads()
    assert len(payloads) == 3 * 2 * 6, "every DATA frame came by"
    assert {key: seen for key, seen in payloads.items() if len(seen) > 1} == {}


class Failing(Relay):
    """Loses all connections and all memory at a chosen message; then serves on, as new."""

    def __init__(self) -> None:
        super().__init__()
        self.fatal: dict[str, int] = {}
        self.count: dict[str, int] = {}
        self.payloads: dict[tuple[str, bytes], set[bytes]] = {}
        self._outage = asyncio.Event()

    async def arrive(self, scope: Any, message: bytes) -> None:
        frame = message[ENVELOPE_BYTES:]
        if parse_header(frame).kind is Kind.DATA:
            self.payloads.setdefault((scope["path"], frame[:HEADER_BYTES]), set()).add(frame)
        path = scope["path"]
        self.count[path] = self.count.get(path, 0) + 1
        if self.count[path] == self.fatal.get(path):
            self.application = self.new_relay()
            outage, self._outage = self._outage, asyncio.Event()
            outage.set()

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        outage = self._outage
        serving = asyncio.create_task(super().serve(scope, receive, send))
        struck = asyncio.create_task(outage.wait())
        await asyncio.wait([serving, struck], return_when=asyncio.FIRST_COMPLETED)
        struck.cancel()
        serving.cancel()
        await asyncio.gather(serving, struck, return_exceptions=True)


def test_an_outage_at_every_single_message_changes_nothing() -> None:
    sizes = [9, MAX_CHUNK_BYTES + 1, 1]
    with Failing() as server:
        for fatal in range(1, 3 * 2 * 4 + 1):
            attempt = server.attempt()
            server.fatal[attempt.path()] = fatal
            outcomes = converse([attempt.channel(p, server.url) for p in range(3)], sizes)
            assert outcomes == expected(3, sizes), f"outage at message {fatal}"
            assert server.count[attempt.path()] > fatal
        assert all(len(frames) == 1 for frames in server.payloads.values())
        assert len(server.payloads) == 24 * 3 * 2 * 4


def test_a_party_that_loses_its_network_comes_back(server: Relay) -> None:
    attempt = server.attempt()
    sizes = [5, 2 * MAX_CHUNK_BYTES, 5]
    with Wire(server.port) as wire:
        urls = [server.url, wire.url, server.url]

        def take_part(own: int) -> str:
            protocol = talk(own, 3, sizes)
            with attempt.channel(own, urls[own]) as channel:
                round_ = next(protocol)
                for index in range(len(sizes)):
                    if own == 1 and index > 0:
                        wire.refused.clear()
                        wire.cut()
                        assert wire.refused.wait(10), "the channel did not try to reconnect"
                        wire.mend()
                    try:
                        round_ = protocol.send(channel.exchange(round_))
                    except StopIteration as finished:
                        return str(finished.value)
            raise AssertionError("the protocol did not end")

        outcomes = each_party(3, take_part)
    assert outcomes == expected(3, sizes)


def test_closing_waits_until_the_last_message_has_arrived(server: Relay) -> None:
    attempt = server.attempt(2)
    closed = threading.Event()
    with Wire(server.port) as wire:

        def sender() -> bool:
            with attempt.channel(0, server.url) as channel:
                channel.exchange(Round(send={ONE: b"hello"}, expect={ONE: 5}))
                channel.exchange(Round(send={ONE: b"last"}, expect={}))
                settled = channel.close()
                closed.set()
                return settled

        def receiver() -> Any:
            with attempt.channel(1, wire.url) as channel:
                channel.exchange(Round(send={ZERO: b"hello"}, expect={ZERO: 5}))
                wire.cut()
                assert wire.refused.wait(10)
                assert not closed.is_set(), "closed before its last message was consumed"
                wire.mend()
                return channel.exchange(Round(send={}, expect={ZERO: 4}))

        assert at_once(sender, receiver) == [True, {ZERO: b"last"}]


# Losses


def test_a_party_that_does_not_come_back_is_named_to_all() -> None:
    with relay(grace_seconds=0.3) as server, Wire(server.port) as wire:
        attempt = server.attempt()
        urls = [server.url, server.url, wire.url]

        def take_part(own: int) -> Any:
            protocol = talk(own, 3, [5, 5])
            with attempt.channel(own, urls[own], deadline_seconds=20) as channel:
                arrived = channel.exchange(next(protocol))
                if own == 2:
                    wire.cut()
                    assert server.someone_lost.wait(10)
                    wire.mend()
                return channel.exchange(protocol.send(arrived))

        outcomes = each_party(3, take_part)
        for own, outcome in enumerate(outcomes):
            assert isinstance(outcome, SessionAborted), f"party {own}: {outcome!r}"
            assert outcome.missing == (2,)
        assert server.lost == [(attempt.session, ("west",))]


def test_a_party_that_never_joins_is_named_to_all() -> None:
    with relay(join_seconds=0.3) as server:
        attempt = server.attempt()

        def take_part(own: int) -> str:
            with attempt.channel(own, server.url) as channel:
                return run(talk(own, 3, [5]), channel)

        outcomes = at_once(lambda: take_part(0), lambda: take_part(1))
        assert [outcome.missing for outcome in outcomes] == [(2,), (2,)]  # type: ignore[union-attr]
        assert server.someone_lost.wait(10)
        assert server.lost == [(attempt.session, ("west",))]


def test_a_party_that_fails_ends_the_session_without_delay() -> None:
    with relay(grace_seconds=3600) as server:
        attempt = server.attempt()

        def take_part(own: int) -> Any:
            protocol = talk(own, 3, [5, 5])
            with attempt.channel(own, server.url) as channel:
                arrived = channel.exchange(next(protocol))
                if own == 0:
                    raise LocalProtocolError("this party cannot go on")
                return channel.exchange(protocol.send(arrived))

        outcomes = each_party(3, take_part)
        assert isinstance(outcomes[0], LocalProtocolError)
        assert [outcome.missing for outcome in outcomes[1:]] == [(0,), (0,)]  # type: ignore[union-attr]
        assert server.someone_lost.wait(10)
        assert server.lost == [(attempt.session, ("north",))]


def test_a_party_that_leaves_too_early_is_named(server: Relay) -> None:
    attempt = server.attempt()

    def take_part(own: int) -> Any:
        sizes = [5] if own == 0 else [5, 5]
        with attempt.channel(own, server.url) as channel:
            return run(talk(own, 3, sizes), channel)

    outcomes = each_party(3, take_part)
    assert outcomes[0] == talk_result(0, 3, [5])
    for outcome in outcomes[1:]:
        assert isinstance(outcome, SessionAborted)
    assert (0,) in [outcome.missing for outcome in outcomes[1:]]  # type: ignore[union-attr]


def test_a_channel_can_be_given_up_from_another_thread(server: Relay) -> None:
    attempt = server.attempt(2)
    channel = attempt.channel(0, server.url)

    def wait() -> Any:
        with channel:
            threading.Thread(target=channel.abort).start()
            return channel.exchange(Round(send={}, expect={ONE: 1}))

    (outcome,) = at_once(wait)
    assert isinstance(outcome, ChannelLost)


def test_silence_ends_at_the_deadline_and_says_who_is_awaited(server: Relay) -> None:
    attempt = server.attempt(2)
    with (
        pytest.raises(
            ChannelLost, match=r"parties \(1,\) are awaited; parties \(1,\) are not conn"
        ),
        attempt.channel(0, server.url, deadline_seconds=0.3) as channel,
    ):
        channel.exchange(Round(send={}, expect={ONE: 1}))


def test_without_a_relay_the_deadline_holds() -> None:
    with relay() as server:
        attempt = server.attempt(2)
        url = server.url
    with (
        pytest.raises(ChannelLost, match=r"not connected: ConnectionRefusedError"),
        attempt.channel(0, url, deadline_seconds=0.3) as channel,
    ):
        channel.exchange(Round(send={}, expect={ONE: 1}))


def test_a_refused_party_learns_it_at_once(server: Relay) -> None:
    attempt = server.attempt(2)
    del server.members[attempt.session]
    with (
        pytest.raises(NotAdmitted, match="status 403"),
        attempt.channel(0, server.url, deadline_seconds=3600) as channel,
    ):
        channel.exchange(Round(send={}, expect={ONE: 1}))


def test_a_header_that_cannot_be_made_is_reported(server: Relay) -> None:
    attempt = server.attempt(2)
    channel = attempt.channel(0, server.url, deadline_seconds=3600)

    def broken() -> str:
        raise KeyError("no identity")

    channel._connection._authorization = broken
    with pytest.raises(KeyError, match="no identity"), channel:
        channel.exchange(Round(send={}, expect={ONE: 1}))


def test_a_channel_is_used_inside_its_block_once(server: Relay) -> None:
    attempt = server.attempt(2)
    channel = attempt.channel(0, server.url)
    with pytest.raises(LocalProtocolError, match="with block"):
        channel.exchange(Round(send={}, expect={ONE: 1}))
    used = attempt.secrets(1)
    used.burn()
    with pytest.raises(LocalProtocolError, match="used before"):
        RelayChannel(server.url, authorization=str, secrets=used, deadline_seconds=1)
    with pytest.raises(ZeroDivisionError), channel:
        raise ZeroDivisionError
    with pytest.raises(ChannelLost, match="closed"):
        channel.exchange(Round(send={}, expect={ONE: 1}))
    with pytest.raises(LocalProtocolError, match="once"), channel:
        pass


# An evil relay


class Evil(Relay):
    """Mutates one message for one receiver of a session."""

    def __init__(self) -> None:
        super().__init__()
        self.plans: dict[str, tuple[int, int, str]] = {}
        self.past: dict[str, dict[int, list[bytes]]] = {}
        self.done: set[str] = set()

    async def deliver(self, scope: Any, message: bytes, send: Deliver) -> None:
        path = scope["path"]
        victim, index, name = self.plans[path]
        past = self.past.setdefault(path, {})
        receiver = message[0]
        own = past.setdefault(receiver, [])
        arriving = [message]
        if receiver == victim and len(own) == index:
            arriving = mutations.ALL[name](past, receiver, message)
            self.done.add(path)
        own.append(message)
        for each in arriving:
            await send({"type": "websocket.send", "bytes": each})


def test_no_mutation_by_the_relay_at_any_index_leads_to_a_wrong_delivery() -> None:
    sizes = [9, 4, 1]
    applied = dict.fromkeys(mutations.ALL, 0)
    with Evil() as server:
        for name in mutations.ALL:
            for index in range(8):
                attempt = server.attempt()
                server.plans[attempt.path()] = (1, index, name)
                channels = [attempt.channel(p, server.url, deadline_seconds=0.5) for p in range(3)]
                outcomes = converse(channels, sizes)
                what = f"{name}, message {index}: {outcomes!r}"
                for own, outcome in enumerate(outcomes):
                    assert not isinstance(outcome, WrongDelivery), what
                    right = outcome == talk_result(own, 3, sizes)
                    assert right or isinstance(outcome, TransportError | ProtocolError), what
                if attempt.path() not in server.done:
                    assert outcomes == expected(3, sizes), what
                    continue
                applied[name] += 1
                if name in mutations.HARMLESS:
                    assert outcomes == expected(3, sizes), what
                elif name in mutations.ALTERING and outcomes[1] != talk_result(1, 3, sizes):
                    assert isinstance(outcomes[1], FrameError), what
    assert min(applied.values()) >= 6, applied


# Limits


class Counting(Relay):
    """Knows when a full window of frames has arrived, and whether more came unconsumed."""

    def __init__(self) -> None:
        super().__init__()
        self.window_full = threading.Event()
        self.may_consume = threading.Event()
        self.overrun = False
        self._bytes = 0

    async def arrive(self, scope: Any, message: bytes) -> None:
        self._bytes += len(message) - ENVELOPE_BYTES
        self.overrun |= self._bytes > WINDOW_BYTES and not self.may_consume.is_set()
        if self._bytes == WINDOW_BYTES:
            self.window_full.set()


def test_a_sender_whose_peer_does_not_consume_blocks_with_a_bounded_buffer() -> None:
    size = 12 * MAX_CHUNK_BYTES
    with Counting() as server:
        attempt = server.attempt(2)
        sender = attempt.channel(0, server.url)

        def send() -> None:
            with sender as channel:
                channel.exchange(Round(send={ONE: content(0, 0, 1, size)}, expect={}))
                assert server.may_consume.is_set(), "returned before anything was consumed"

        def receive() -> bool:
            with attempt.channel(1, server.url) as channel:
                assert server.window_full.wait(20)
                assert sender._session.buffered_bytes <= WINDOW_BYTES == 4 * MAX_FRAME_BYTES
                server.may_consume.set()
                arrived = channel.exchange(Round(send={}, expect={ZERO: size}))
                return arrived == {ZERO: content(0, 0, 1, size)}

        assert at_once(send, receive) == [None, True]
        assert not server.overrun


# The way to the relay


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A private certificate authority: (its certificate, the server's certificate, its key)."""
    folder = tmp_path_factory.mktemp("authority")
    now = datetime.now(UTC)

    def certificate(name: str, key: Any, issuer: Any, issuer_key: Any, *, is_ca: bool) -> Any:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
            )
        )
        if not is_ca:
            address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), False)
        return builder.sign(issuer_key, hashes.SHA256())

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = certificate("Hospital root", root_key, None, root_key, is_ca=True)
    leaf = certificate("relay", key, root.subject, root_key, is_ca=False)
    files = folder / "root.pem", folder / "relay.pem", folder / "relay.key"
    files[0].write_bytes(root.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    files[2].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def test_a_private_certificate_authority_is_trusted_and_no_other(
    authority: tuple[Path, Path, Path],
) -> None:
    root, certificate, key = authority
    sizes = [10, MAX_CHUNK_BYTES + 1]
    with relay(ssl_files=(certificate, key)) as server:
        attempt = server.attempt()
        channels = [attempt.channel(p, server.url, ssl_context=tls_context(root)) for p in range(3)]
        assert converse(channels, sizes) == expected(3, sizes)
        stranger = server.attempt()
        for context in (tls_context(None), None):
            with (
                pytest.raises(NotAdmitted, match="certificate is not trusted"),
                stranger.channel(0, server.url, ssl_context=context) as channel,
            ):
                channel.exchange(Round(send={}, expect={ONE: 1}))
            stranger = server.attempt()


def test_the_outbound_proxy_of_the_environment_is_honoured(
    authority: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, certificate, key = authority
    with (
        relay(ssl_files=(certificate, key)) as server,
        Wire(server.port, connect_method=True) as proxy,
    ):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        attempt = server.attempt()
        channels = [attempt.channel(p, server.url, ssl_context=tls_context(root)) for p in range(3)]
        assert converse(channels, [10]) == expected(3, [10])
        assert proxy.requests == [f"CONNECT 127.0.0.1:{server.port} HTTP/1.1"] * 3
