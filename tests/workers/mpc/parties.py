"""All parties of a session in one process: run a program at each, and look at what they sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from workers.mpc.engine import Engine
from workers.mpc.profiles import replicated
from workers.mpc.protocol import Message, Party, PartyId, Protocol, run_locally
from workers.mpc.randomness import Randomness

Start: TypeAlias = Callable[[Party], Protocol[Any]]
Program: TypeAlias = Callable[[Any], Protocol[Any]]


@dataclass(frozen=True)
class Session:
    """What a program returned at every party, and every message that it took."""

    results: list[Any]
    messages: list[Message]

    @property
    def rounds(self) -> int:
        """How many rounds had a message."""
        return len({message.round_index for message in self.messages})

    def bytes_sent_by(self, party: int) -> int:
        """How many bytes of content a party sent."""
        return sum(len(message.content) for message in self.messages if message.sender == party)

    @property
    def bytes_sent(self) -> int:
        """How many bytes of content all parties sent together."""
        return sum(len(message.content) for message in self.messages)

    @property
    def shape(self) -> list[tuple[int, int, int, int]]:
        """What an eavesdropper sees: round, sender, receiver and size of every message."""
        return [(m.round_index, m.sender, m.receiver, len(m.content)) for m in self.messages]


def parties(n: int, seed: int = 0) -> list[Party]:
    """Return n parties with fixed, different randomness."""
    return [
        Party(PartyId(number), n, Randomness(bytes([seed, number + 1]) * 16)) for number in range(n)
    ]


def engines(start: Start = replicated.start, n: int = 3, seed: int = 0) -> list[Engine]:
    """Return the engines of a new session, one for each party."""
    return run_locally([start(party) for party in parties(n, seed)])


def run(program: Program, start: Start = replicated.start, n: int = 3, seed: int = 0) -> Session:
    """Run a program at every party of a new session; the session's set-up is not counted."""
    started = engines(start, n, seed)
    messages: list[Message] = []
    results = run_locally([program(engine) for engine in started], messages.append)
    return Session(results, messages)
