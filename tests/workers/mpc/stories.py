"""What the tests of the engine share: parties in one process, and what they sent."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from workers.mpc.protocol import Message, Party, PartyId, Protocol, run_locally
from workers.mpc.randomness import Randomness

T = TypeVar("T")


def parties(n: int, seed: int = 1) -> list[Party]:
    """n parties whose randomness the test can repeat."""
    return [
        Party(PartyId(i), n, Randomness(seed.to_bytes(16, "little") + i.to_bytes(16, "little")))
        for i in range(n)
    ]


@dataclass
class Transcript:
    """All messages of a local run."""

    messages: list[Message] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        return len({message.round_index for message in self.messages})

    @property
    def bytes_sent(self) -> dict[int, int]:
        sent: Counter[int] = Counter()
        for message in self.messages:
            sent[message.sender] += len(message.content)
        return dict(sent)


def run(protocol: Callable[[Party], Protocol[T]], n: int) -> tuple[list[T], Transcript]:
    """Run the same protocol at n parties; return all results and the transcript."""
    transcript = Transcript()
    results = run_locally([protocol(party) for party in parties(n)], transcript.messages.append)
    return results, transcript
