"""The channel's rules without a network: a simulated relay that delays, loses and mutates."""

from collections import deque
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.transport import mutations
from tests.workers.transport.parties import Attempt, expected, talk
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.protocol import PartyId, Protocol, Round
from workers.transport.errors import OutOfOrder, SessionAborted, TransportError
from workers.transport.frames import (
    ENVELOPE_BYTES,
    HEADER_BYTES,
    MAX_CHUNK_BYTES,
    MAX_FRAME_BYTES,
    TAG_BYTES,
    Kind,
    parse_envelope,
    parse_header,
)
from workers.transport.session import WINDOW_BYTES, Session

BUFFER_BYTES = 64 << 20
Tamper = Callable[[int, bytes], list[bytes]]


class World:
    """Parties that run :func:`talk`, and a relay whose every step the test decides."""

    def __init__(self, parties: int, sizes: list[int], buffer_bytes: int = BUFFER_BYTES) -> None:
        attempt = Attempt(parties)
        self.parties = range(parties)
        self.sessions = [
            Session(attempt.secrets(party), buffer_bytes=buffer_bytes) for party in self.parties
        ]
        self.protocols: list[Protocol[str]] = [talk(p, parties, sizes) for p in self.parties]
        self.results: list[str | None] = [None] * parties
        self.wires: dict[tuple[int, int], deque[bytes]] = {
            (a, b): deque() for a in self.parties for b in self.parties if a != b
        }
        self.payloads: dict[bytes, set[bytes]] = {}
        self.epoch = 0
        for party in self.parties:
            self._resume(party, None)

    def ready(self) -> None:
        """All connections are new; whatever was on the way is lost."""
        self.epoch += 1
        for wire in self.wires.values():
            wire.clear()
        for session in self.sessions:
            session.interrupt()
            assert session.next_message() is None
            session.ready(self.epoch)

    def send(self, party: int) -> bool:
        message = self.sessions[party].next_message()
        if message is None:
            return False
        addressee, epoch = parse_envelope(message)
        assert epoch == self.epoch
        frame = message[ENVELOPE_BYTES:]
        self.payloads.setdefault(frame[:HEADER_BYTES], set()).add(sha256(frame).digest())
        self.wires[party, addressee].append(message)
        return True

    def deliver(self, wire: tuple[int, int], tamper: Tamper | None = None) -> bool:
        if not self.wires[wire]:
            return False
        message = self.wires[wire].popleft()
        receiver = wire[1]
        for arriving in tamper(receiver, message) if tamper else [message]:
            self.sessions[receiver].receive(arriving)
            self._go_on(receiver)
        return True

    def run(self, tamper: Tamper | None = None) -> None:
        """Go on, in a fixed order, until nothing moves any more."""
        moved = True
        while moved:
            moved = False
            for party in self.parties:
                self.sessions[party].release_acknowledgements()
                moved |= self.send(party)
                self._go_on(party)
            for wire in self.wires:
                moved |= self.deliver(wire, tamper)

    def _go_on(self, party: int) -> None:
        while self.sessions[party].round_complete:
            self._resume(party, self.sessions[party].take())

    def _resume(self, party: int, arrived: object) -> None:
        try:
            round_ = self.protocols[party].send(arrived)  # type: ignore[arg-type]
        except StopIteration as finished:
            self.results[party] = finished.value
        else:
            self.sessions[party].begin(round_)


def messages_of(world: World) -> int:
    """How many messages are delivered when nothing goes wrong."""
    indices = count()

    def counting(_receiver: int, message: bytes) -> list[bytes]:
        next(indices)
        return [message]

    world.ready()
    world.run(counting)
    return next(indices)


SIZES = [9, MAX_CHUNK_BYTES, 1, 2 * MAX_CHUNK_BYTES + 1]
SMALL_SIZES = [9, 100, 1]


def test_parties_exchange_rounds_and_end_up_settled_with_equal_transcripts() -> None:
    world = World(3, SIZES)
    world.ready()
    world.run()
    assert world.results == expected(3, SIZES)
    digests = [session.transcript_digests() for session in world.sessions]
    for own in world.parties:
        assert world.sessions[own].settled
        assert world.sessions[own].buffered_bytes == 0
        for peer in digests[own]:
            assert digests[own][peer]["sent"] == digests[peer][own]["received"]


step = st.one_of(
    st.tuples(st.just("send"), st.integers(0, 2)),
    st.tuples(st.just("deliver"), st.integers(0, 5)),
    st.tuples(st.just("acknowledge"), st.integers(0, 2)),
    st.tuples(st.just("outage"), st.just(0)),
)


@settings(deadline=None, max_examples=150)
@given(st.lists(step, max_size=80))
def test_whatever_is_lost_at_reconnects_the_result_is_the_same(
    steps: list[tuple[str, int]],
) -> None:
    world = World(3, SMALL_SIZES)
    world.ready()
    for name, index in steps:
        if name == "send":
            world.send(index)
        elif name == "deliver":
            world.deliver(list(world.wires)[index])
        elif name == "acknowledge":
            world.sessions[index].release_acknowledgements()
        else:
            world.ready()
    world.run()
    assert world.results == expected(3, SMALL_SIZES)
    assert all(session.settled for session in world.sessions)
    assert all(len(payloads) == 1 for payloads in world.payloads.values())


def test_an_outage_after_every_single_step_changes_nothing() -> None:
    sizes = [9, MAX_CHUNK_BYTES + 1, 1]
    steps = messages_of(World(2, sizes))
    for fatal in range(steps):
        world = World(2, sizes)
        world.ready()
        # All that is on the way at the fatal message is lost, until the relay is back.
        with pytest.raises(OutageNow):
            world.run(until_message(fatal))
        world.ready()
        world.run()
        assert world.results == expected(2, sizes)
        assert all(session.settled for session in world.sessions), f"outage at message {fatal}"
        assert all(len(payloads) == 1 for payloads in world.payloads.values())


class OutageNow(Exception):  # noqa: N818 - an event
    pass


def until_message(fatal: int) -> Tamper:
    indices = count()

    def tamper(_receiver: int, message: bytes) -> list[bytes]:
        if next(indices) == fatal:
            raise OutageNow
        return [message]

    return tamper


def sweep(names: dict[str, mutations.Mutation]) -> Iterator[tuple[str, int]]:
    total = messages_of(World(3, SMALL_SIZES))
    assert total >= 3 * 2 * len(SMALL_SIZES)
    for name in names:
        for index in range(total):
            yield name, index


def run_mutated(name: str, index: int) -> tuple[World, Kind, Exception | None]:
    """The world after one mutation, what kind of frame it hit, and the error it caused."""
    world = World(3, SMALL_SIZES)
    past: dict[int, list[bytes]] = {}
    kinds: list[Kind] = []

    def tamper(receiver: int, message: bytes) -> list[bytes]:
        mutated = len(kinds) == index
        arriving = mutations.ALL[name](past, receiver, message) if mutated else [message]
        kinds.append(parse_header(message[ENVELOPE_BYTES:]).kind)
        past.setdefault(receiver, []).append(message)
        return arriving

    world.ready()
    try:
        world.run(tamper)
    except (TransportError, RemoteProtocolError) as error:
        return world, kinds[index], error
    return world, kinds[index], None


def test_every_altered_message_is_refused() -> None:
    for name, index in sweep(mutations.ALTERING):
        _, _, error = run_mutated(name, index)
        assert isinstance(error, RemoteProtocolError), f"{name}, message {index}: accepted"


def test_every_replay_is_ignored_and_the_result_unchanged() -> None:
    ignored = 0
    for name, index in sweep(mutations.HARMLESS):
        world, _, error = run_mutated(name, index)
        assert error is None, f"{name}, message {index}"
        assert world.results == expected(3, SMALL_SIZES), f"{name}, message {index}"
        ignored += sum(session.duplicates for session in world.sessions)
    assert ignored > 0


def test_every_withheld_or_misdelivered_message_is_noticed_or_stops_the_session() -> None:
    for name, index in sweep(mutations.WITHHOLDING):
        world, kind, error = run_mutated(name, index)
        right = expected(3, SMALL_SIZES)
        for own, result in enumerate(world.results):
            assert result in (None, right[own]), f"{name}, message {index}"
        if name == "dropped" and kind is Kind.DATA:
            # Either a later frame shows the gap, or whoever misses it waits for ever.
            assert error is not None or None in world.results, f"message {index} was not missed"


def test_exchanged_frames_are_refused_by_name() -> None:
    world = World(2, [1, 1])
    sender = world.sessions[0]
    world.ready()
    first = sender.next_message()
    assert first is not None
    sender.receive(_message_from(world, 1))
    sender.take()
    sender.begin(Round(send={PartyId(1): b"x"}, expect={}))
    second = sender.next_message()
    assert second is not None
    with pytest.raises(OutOfOrder, match="frame 0 of party 0 was expected, frame 1 arrived"):
        world.sessions[1].receive(second)


def _message_from(world: World, party: int) -> bytes:
    message = world.sessions[party].next_message()
    assert message is not None
    return message


def two(sizes: list[int], buffer_bytes: int = BUFFER_BYTES) -> tuple[Session, Session]:
    attempt = Attempt(2)
    sessions = [Session(attempt.secrets(party), buffer_bytes=buffer_bytes) for party in (0, 1)]
    for session in sessions:
        session.ready(1)
    return sessions[0], sessions[1]


def pass_on(sender: Session, receiver: Session) -> None:
    """Deliver all that the sender may send now."""
    while (frame := sender.next_message()) is not None:
        receiver.receive(frame)


def test_a_sender_stops_at_its_window_until_the_receiver_consumes() -> None:
    sender, receiver = two([])
    message = bytes(10 * MAX_CHUNK_BYTES)
    sender.begin(Round(send={PartyId(1): message}, expect={}))
    pass_on(sender, receiver)
    assert sender.buffered_bytes == WINDOW_BYTES == 4 * MAX_FRAME_BYTES
    assert not sender.round_complete, "a full buffer must hold the round back"
    assert receiver.next_message() is None, "what nobody consumed must not be acknowledged"
    receiver.begin(Round(send={}, expect={PartyId(0): len(message)}))
    while not receiver.round_complete:
        receiver.release_acknowledgements()
        if (acknowledgement := receiver.next_message()) is not None:
            sender.receive(acknowledgement)
        pass_on(sender, receiver)
        assert sender.buffered_bytes <= WINDOW_BYTES
    assert receiver.take() == {0: message}
    assert sender.round_complete


def test_a_small_buffer_is_respected_down_to_one_frame() -> None:
    sender, _ = two([], buffer_bytes=1)
    sender.begin(Round(send={PartyId(1): bytes(3 * MAX_CHUNK_BYTES)}, expect={}))
    assert sender.next_message() is not None
    assert sender.next_message() is None
    assert sender.buffered_bytes == MAX_FRAME_BYTES


def test_a_receiver_refuses_a_peer_that_ignores_the_window() -> None:
    attempt = Attempt(2)
    receiver = Session(attempt.secrets(1), buffer_bytes=BUFFER_BYTES)
    liar = Session(attempt.secrets(0), buffer_bytes=BUFFER_BYTES)
    liar._outboxes[1]._window_bytes = 1 << 40
    liar.ready(1)
    liar.begin(Round(send={PartyId(1): bytes(8 * MAX_CHUNK_BYTES)}, expect={}))
    with pytest.raises(RemoteProtocolError, match="ahead") as refused:
        pass_on(liar, receiver)
    assert refused.value.party == 0


@pytest.mark.parametrize("sent", [1, 7, 9, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES + 1])
@pytest.mark.parametrize("early", [True, False])
def test_a_message_of_another_size_names_its_sender(sent: int, early: bool) -> None:
    sender, receiver = two([])
    sender.begin(Round(send={PartyId(1): bytes(sent)}, expect={}))
    expectation = Round(send={}, expect={PartyId(0): 8})
    if early:
        pass_on(sender, receiver)
    else:
        receiver.begin(expectation)
    with pytest.raises(RemoteProtocolError, match="expects 8") as refused:
        receiver.begin(expectation) if early else pass_on(sender, receiver)
    assert refused.value.party == 0


def test_an_acknowledgement_of_what_was_never_sent_is_refused() -> None:
    sender, receiver = two([])
    receiver._inboxes[0].consumed = 5
    receiver.release_acknowledgements()
    acknowledgement = receiver.next_message()
    assert acknowledgement is not None
    with pytest.raises(RemoteProtocolError, match="acknowledges 5 frames; 0 were sent"):
        sender.receive(acknowledgement)


def test_a_replayed_acknowledgement_is_ignored() -> None:
    sender, receiver = two([])
    for _ in range(2):
        sender.begin(Round(send={PartyId(1): b"x"}, expect={}))
        receiver.begin(Round(send={}, expect={PartyId(0): 1}))
        frame = sender.next_message()
        assert frame is not None
        receiver.receive(frame)
        sender.take()
        receiver.take()
        receiver.release_acknowledgements()
        acknowledgement = receiver.next_message()
        assert acknowledgement is not None
        assert sender.receive(acknowledgement)
        assert not sender.receive(acknowledgement)
    assert sender.settled


def test_a_peer_that_left_is_not_waited_for_unless_its_message_is_expected() -> None:
    sender, _ = two([])
    sender.begin(Round(send={PartyId(1): b"x"}, expect={}))
    assert sender.next_message() is not None
    sender.take()
    assert not sender.settled
    sender.left(1)
    assert sender.settled
    with pytest.raises(SessionAborted) as aborted:
        sender.begin(Round(send={}, expect={PartyId(1): 1}))
    assert aborted.value.missing == (1,)


def test_misuse_is_refused_before_anything_is_sent() -> None:
    sender, _ = two([])
    with pytest.raises(LocalProtocolError, match="party 2"):
        sender.begin(Round(send={PartyId(2): b"x"}, expect={}))
    sender.begin(Round(send={}, expect={PartyId(1): 1}))
    with pytest.raises(LocalProtocolError, match="before"):
        sender.begin(Round(send={}, expect={PartyId(1): 1}))
    assert sender.next_message() is None


@given(st.lists(st.integers(1, 3 * MAX_CHUNK_BYTES), min_size=1, max_size=3))
@settings(deadline=None, max_examples=20)
def test_sizes_on_the_wire_depend_on_message_sizes_only(sizes: list[int]) -> None:
    """Number and sizes of frames for zeros and for random-looking bytes are equal."""

    def wire(fill: int) -> list[int]:
        sender, receiver = two([])
        lengths = []
        for size in sizes:
            sender.begin(Round(send={PartyId(1): bytes([fill]) * size}, expect={}))
            receiver.begin(Round(send={}, expect={PartyId(0): size}))
            while (frame := sender.next_message()) is not None:
                assert parse_header(frame[ENVELOPE_BYTES:]).kind is Kind.DATA
                lengths.append(len(frame))
                receiver.receive(frame)
            sender.take()
            receiver.take()
            receiver.release_acknowledgements()
            acknowledgement = receiver.next_message()
            assert acknowledgement is not None
            sender.receive(acknowledgement)
        return lengths

    overhead = ENVELOPE_BYTES + HEADER_BYTES + TAG_BYTES
    chunks = [
        overhead + min(MAX_CHUNK_BYTES, size - start)
        for size in sizes
        for start in range(0, size, MAX_CHUNK_BYTES)
    ]
    assert wire(0) == wire(0xA5) == chunks
