"""Rounds are driven strictly: whoever sends something else, or to someone else, is named."""

import pytest

from tests.workers.mpc.stories import parties, run
from workers.mpc.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from workers.mpc.protocol import (
    Message,
    Party,
    PartyId,
    Round,
    check_arrived,
    drive,
    in_parallel,
    run_locally,
)


def greet(party, *, rounds=1, size_bytes=4):
    """Each round sends to all others who speaks and in which round; returns what was heard."""
    heard = []
    for index in range(rounds):
        arrived = yield Round(
            send={other: bytes([party.id, index]) * (size_bytes // 2) for other in party.others},
            expect=dict.fromkeys(party.others, size_bytes),
        )
        heard.append({sender: (message[0], message[1]) for sender, message in arrived.items()})
    return heard


def heard_by(receiver, n, rounds):
    return [{s: (s, index) for s in range(n) if s != receiver} for index in range(rounds)]


def sends(messages, expect=None):
    """A party that sends what it likes, whatever it should."""
    yield Round(send=messages, expect=expect or {})
    return "evil party is content"


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_every_message_reaches_its_receiver_in_its_round(n, rounds):
    results, transcript = run(lambda party: greet(party, rounds=rounds), n)

    assert results == [heard_by(receiver, n, rounds) for receiver in range(n)]
    assert transcript.rounds == rounds
    assert len(transcript.messages) == rounds * n * (n - 1)


@pytest.mark.parametrize("sent_bytes", [1, 3, 5, 8, 4000])
def test_a_message_of_another_size_names_its_sender(sent_bytes):
    honest = [greet(party) for party in parties(3)[:2]]
    evil = sends({0: b"....", 1: b"." * sent_bytes}, {0: 4, 1: 4})

    with pytest.raises(RemoteProtocolError, match=f"sent {sent_bytes} bytes.*expects 4") as caught:
        run_locally([*honest, evil])
    assert caught.value.party == 2


def test_a_silent_party_is_named():
    honest = [greet(party) for party in parties(3)[:2]]
    with pytest.raises(RemoteProtocolError, match="sent nothing") as caught:
        run_locally([*honest, sends({0: b"...."}, {0: 4, 1: 4})])
    assert caught.value.party == 2


@pytest.mark.parametrize("rounds_of_party_1", [0, 1])
def test_a_message_nobody_expects_is_refused_also_by_a_party_that_has_finished(rounds_of_party_1):
    def quiet():
        for _ in range(rounds_of_party_1):
            yield Round(send={}, expect={})

    with pytest.raises(RemoteProtocolError, match="expects nothing") as caught:
        run_locally([sends({1: b"surprise"}), quiet()])
    assert caught.value.party == 0


@pytest.mark.parametrize("receiver", [0, 2, -1])
def test_only_another_party_can_be_sent_to(receiver):
    with pytest.raises(LocalProtocolError, match=r"not another one of 0 \.\. 1"):
        run_locally([sends({receiver: b"hello"}), sends({0: b"hello"})])


def test_one_partys_failure_closes_all_protocols():
    closed = []

    def watchful(party):
        try:
            yield from greet(party)
        finally:
            closed.append(party.id)

    first, second, _ = parties(3)
    with pytest.raises(RemoteProtocolError):
        run_locally([watchful(first), watchful(second), sends({0: b"...", 1: b"..."})])
    assert closed == [0, 1]


def test_a_round_has_no_empty_messages():
    with pytest.raises(LocalProtocolError):
        Round(send={PartyId(1): b""}, expect={})
    with pytest.raises(LocalProtocolError):
        Round(send={}, expect={PartyId(1): 0})


@pytest.mark.parametrize(("party_id", "n"), [(0, 1), (3, 3), (-1, 3)])
def test_a_party_is_one_of_at_least_two(party_id, n):
    with pytest.raises(LocalProtocolError):
        Party(PartyId(party_id), n, parties(2)[0].randomness)


def test_what_is_sent_is_never_printed():
    content = b"\x2a\x2a\x2a"
    for thing in (
        Round(send={PartyId(1): content}, expect={}),
        Message(0, PartyId(0), PartyId(1), content),
    ):
        assert "***" not in repr(thing)
        assert "2a" not in repr(thing)


class ScriptedChannel:
    """A channel that hands out prepared answers."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    async def exchange(self, round):  # noqa: A002
        self.sent.append(dict(round.send))
        return self.answers.pop(0)


async def test_a_channel_drives_a_party_like_a_local_run():
    channel = ScriptedChannel({1: bytes([1, 0]) * 2}, {1: bytes([1, 1]) * 2})
    protocol = greet(parties(2)[0], rounds=2)
    assert await drive(protocol, channel) == heard_by(0, 2, rounds=2)
    assert channel.sent == [{1: bytes([0, 0]) * 2}, {1: bytes([0, 1]) * 2}]


@pytest.mark.parametrize(
    ("answer", "guilty"),
    [({}, 1), ({1: b"..."}, 1), ({1: b"....."}, 1), ({1: b"...."} | {7: b"...."}, 7)],
)
async def test_a_channel_that_delivers_something_else_ends_the_protocol(answer, guilty):
    protocol = greet(parties(2)[0])
    with pytest.raises(RemoteProtocolError) as caught:
        await drive(protocol, ScriptedChannel(answer))
    assert caught.value.party == guilty
    with pytest.raises(StopIteration):
        next(protocol)


async def test_a_lost_channel_closes_the_protocol():
    class Lost:
        async def exchange(self, round):  # noqa: A002
            raise ConnectionError("gone")

    protocol = greet(parties(2)[0])
    with pytest.raises(ConnectionError):
        await drive(protocol, Lost())
    with pytest.raises(StopIteration):
        next(protocol)


def test_both_errors_are_protocol_errors():
    assert issubclass(LocalProtocolError, ProtocolError)
    assert issubclass(RemoteProtocolError, ProtocolError)
    check_arrived(Round(send={}, expect={PartyId(3): 2}), {PartyId(3): b"ok"})


def test_protocols_in_parallel_cost_the_rounds_of_the_longest_and_the_bytes_of_all():
    shapes = [(1, 4), (3, 6), (2, 2), (0, 8)]

    def together(party):
        return in_parallel(*(greet(party, rounds=r, size_bytes=size) for r, size in shapes))

    results, transcript = run(together, 3)

    assert results == [tuple(heard_by(me, 3, rounds) for rounds, _ in shapes) for me in range(3)]
    assert transcript.rounds == 3
    expected_bytes = 2 * sum(rounds * size_bytes for rounds, size_bytes in shapes)
    assert transcript.bytes_sent == dict.fromkeys(range(3), expected_bytes)


def test_in_parallel_keeps_apart_protocols_with_different_senders():
    """0 speaks to 1 in the first protocol, 1 to 0 in the second, 2 to all in the third."""

    def speaks(party, speaker, listeners, word):
        arrived = yield Round(
            send=dict.fromkeys(listeners, word) if party.id == speaker else {},
            expect={speaker: len(word)} if party.id in listeners else {},
        )
        return dict(arrived)

    def together(party):
        return in_parallel(
            speaks(party, 0, (1,), b"from zero"),
            speaks(party, 1, (0,), b"from one"),
            speaks(party, 2, (0, 1), b"from two"),
        )

    results, transcript = run(together, 3)
    assert results == [
        ({}, {1: b"from one"}, {2: b"from two"}),
        ({0: b"from zero"}, {}, {2: b"from two"}),
        ({}, {}, {}),
    ]
    assert transcript.rounds == 1


def test_in_parallel_closes_its_protocols_when_the_run_aborts():
    closed = []

    def watchful(party, name):
        try:
            yield from greet(party)
        finally:
            closed.append(name)

    party = parties(2)[0]
    merged = in_parallel(watchful(party, "a"), watchful(party, "b"))
    with pytest.raises(RemoteProtocolError):
        run_locally([merged, sends({0: b"too short"[:7]}, {0: 8})])
    assert closed == ["a", "b"]
