"""One conformance suite for every channel: in memory, and over the relay on real sockets."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.workers.transport.parties import each_party, expected, talk
from tests.workers.transport.servers import Relay, relay
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.profiles import additive
from workers.mpc.protocol import Party, PartyId, Protocol, Round
from workers.mpc.randomness import Randomness
from workers.mpc.ranges import Range
from workers.transport.channel import BlockingChannel, run
from workers.transport.errors import ChannelLost, TransportError
from workers.transport.memory import memory_channels

Play = Callable[..., list[Any]]
"""Run one function per party, each with its channel, in threads; their outcomes."""


@pytest.fixture(scope="module")
def server() -> Iterator[Relay]:
    with relay() as running:
        yield running


@pytest.fixture(params=["memory", "relay"])
def play(request: pytest.FixtureRequest, server: Relay) -> Play:
    def in_memory(*parts: Callable[[BlockingChannel], Any], deadline_seconds: float = 20) -> Any:
        channels = memory_channels(len(parts), deadline_seconds=deadline_seconds)
        return each_party(len(parts), lambda own: parts[own](channels[own]))

    def over_relay(*parts: Callable[[BlockingChannel], Any], deadline_seconds: float = 20) -> Any:
        attempt = server.attempt(len(parts))

        def take_part(own: int) -> Any:
            options = {"deadline_seconds": deadline_seconds}
            with attempt.channel(own, server.url, **options) as channel:
                return parts[own](channel)

        return each_party(len(parts), take_part)

    return in_memory if request.param == "memory" else over_relay


@pytest.mark.parametrize("parties", [2, 3, 5])
def test_all_send_to_all_in_many_rounds(play: Play, parties: int) -> None:
    sizes = [1, 8, 1000, 70_000, 1, 1, 1]

    def part(own: int) -> Callable[[BlockingChannel], str]:
        return lambda channel: run(talk(own, parties, sizes), channel)

    assert play(*(part(own) for own in range(parties))) == expected(parties, sizes)


def test_messages_of_several_mebibytes_cross_each_other(play: Play) -> None:
    """All send before any receives: a channel that does not read while it writes stands still."""
    sizes = [9_000_000, 1, 5 << 20]

    def part(own: int) -> Callable[[BlockingChannel], str]:
        return lambda channel: run(talk(own, 3, sizes), channel)

    assert play(*(part(own) for own in range(3))) == expected(3, sizes)


def test_a_party_may_be_silent_or_send_one_way(play: Play) -> None:
    zero, one, two = PartyId(0), PartyId(1), PartyId(2)

    def first(channel: BlockingChannel) -> Any:
        channel.exchange(Round(send={one: b"to one"}, expect={}))
        channel.exchange(Round(send={one: b"again"}, expect={}))
        return channel.exchange(Round(send={}, expect={two: 3}))

    def second(channel: BlockingChannel) -> Any:
        got = [channel.exchange(Round(send={}, expect={zero: size}))[zero] for size in (6, 5)]
        channel.exchange(Round(send={two: b"".join(got)}, expect={}))
        return got

    def third(channel: BlockingChannel) -> Any:
        got = channel.exchange(Round(send={}, expect={one: 11}))
        channel.exchange(Round(send={zero: b"end"}, expect={}))
        return got

    outcomes = play(first, second, third)
    assert outcomes == [{two: b"end"}, [b"to one", b"again"], {one: b"to oneagain"}]


@pytest.mark.parametrize("size", [7, 9, 2_000_000])
def test_a_message_of_another_size_names_its_sender(play: Play, size: int) -> None:
    zero, one = PartyId(0), PartyId(1)
    outcomes = play(
        lambda channel: channel.exchange(Round(send={one: bytes(size)}, expect={})),
        lambda channel: channel.exchange(Round(send={}, expect={zero: 8})),
    )
    assert isinstance(outcomes[1], RemoteProtocolError)
    assert outcomes[1].party == 0
    assert f"expects {8}" in str(outcomes[1])


def test_a_party_outside_the_session_is_refused(play: Play) -> None:
    outside = Round(send={PartyId(7): b"x"}, expect={})
    outcomes = play(lambda channel: channel.exchange(outside), lambda channel: None)
    assert isinstance(outcomes[0], LocalProtocolError)


def test_a_message_that_never_comes_ends_the_wait(play: Play) -> None:
    one = PartyId(1)
    silent = Round(send={}, expect={PartyId(0): 1})
    outcomes = play(
        lambda channel: channel.exchange(Round(send={}, expect={one: 1})),
        lambda channel: channel.exchange(silent),
        deadline_seconds=0.3,
    )
    assert all(isinstance(outcome, TransportError) for outcome in outcomes)
    assert any(isinstance(outcome, ChannelLost) for outcome in outcomes)


def test_a_round_that_allows_it_goes_on_without_a_party_that_left(play: Play) -> None:
    def present(own: int, other: int) -> Callable[[BlockingChannel], Any]:
        def part(channel: BlockingChannel) -> Any:
            heard = []
            for number in range(3):
                arrived = channel.exchange(
                    Round(
                        send={PartyId(other): bytes([own, number])},
                        expect={PartyId(other): 2, PartyId(2): 2},
                        missing_allowed=1,
                    )
                )
                heard.append({int(peer): bytes(message) for peer, message in arrived.items()})
            return heard

        return part

    outcomes = play(present(0, 1), present(1, 0), lambda channel: None, deadline_seconds=1)
    for other, outcome in ((1, outcomes[0]), (0, outcomes[1])):
        assert outcome == [{other: bytes([other, number])} for number in range(3)]


def test_a_secure_sum_comes_out_right(play: Play) -> None:
    inputs = [np.array([party, 10 * party, -party], dtype=np.int64) for party in range(3)]

    def addition(own: int) -> Protocol[Any]:
        party = Party(PartyId(own), 3, Randomness(bytes([own]) * 32))
        engine = yield from additive.start(party)
        everyone = [PartyId(number) for number in range(3)]
        first, second, third = yield from engine.input_from(
            everyone, inputs[own], (3,), Range(-100, 100)
        )
        return (yield from engine.open(first + second + third))

    def part(own: int) -> Callable[[BlockingChannel], Any]:
        return lambda channel: run(addition(own), channel)

    for total in play(*(part(own) for own in range(3))):
        assert not isinstance(total, BaseException), total
        assert total.tolist() == [3, 30, -3]
