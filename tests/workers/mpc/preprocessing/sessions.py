"""Sessions of parties with transfers, and what peers that misbehave do to their messages."""

import itertools
from collections.abc import Callable, Generator, Mapping
from typing import Any

import numpy as np

from workers.mpc.preprocessing.transfers import Transfers, set_up
from workers.mpc.protocol import Buffer, Message, Party, PartyId, Protocol, Round, run_locally
from workers.mpc.randomness import Randomness


def parties(n: int, seed: int = 0) -> list[Party]:
    """n parties with fixed, different randomness."""
    return [
        Party(PartyId(number), n, Randomness(bytes([seed, number + 1]) * 16)) for number in range(n)
    ]


def session(n: int, seed: int = 0) -> list[Transfers]:
    """The transfers of all parties of a new session."""
    return run_locally([set_up(party, b"test session") for party in parties(n, seed)])


def shape(messages: list[Message]) -> list[tuple[int, int, int, int]]:
    """What an eavesdropper sees: round, sender, receiver and size of every message."""
    return [(m.round_index, m.sender, m.receiver, len(m.content)) for m in messages]


def altered(
    protocol: Protocol[Any], change: Callable[[Buffer], Buffer], round_index: int = 0
) -> Generator[Round, Mapping[PartyId, Buffer], Any]:
    """The protocol of a party that changes what it sends in one round."""
    try:
        round_ = next(protocol)
        for index in itertools.count():
            if index == round_index:
                send = {peer: change(message) for peer, message in round_.send.items()}
                round_ = Round(send, round_.expect)
            round_ = protocol.send((yield round_))
    except StopIteration as finished:
        return finished.value
    finally:
        protocol.close()


def looks_uniform(data: bytes) -> bool:
    """Whether a chi-square test accepts that the bytes are uniform (false alarm: 1 in 10^8)."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    expected = len(data) / 256
    # 255 degrees of freedom: mean 255, standard deviation 22.6.
    return float(((counts - expected) ** 2 / expected).sum()) < 255 + 6 * 22.6
