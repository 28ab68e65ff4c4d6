"""All parties of a session in one process: run a program at each, and look at what they sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from workers.mpc.forms import Form
from workers.mpc.profiles import additive, malicious, replicated, shamir
from workers.mpc.protocol import Alteration, Message, Party, PartyId, Protocol, run_locally
from workers.mpc.randomness import Randomness
from workers.mpc.rings.base import Elements, Ring, Shape

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


class DealtTriples:
    """Triples from a trusted dealer: every party expands the same seed and takes its parts.

    For the arithmetic alone; what makes triples without a dealer has tests of its own.
    """

    def __init__(self, index: int, parties: int, seed: int = 0) -> None:
        self._randomness = Randomness(bytes([seed]) * 32)
        self._index, self._parties = index, parties

    def take(
        self, ring: Ring, form: Form, left: Shape, right: Shape
    ) -> Protocol[tuple[Elements, Elements, Elements]]:
        a, b = ring.random(self._randomness, left), ring.random(self._randomness, right)
        secrets = (a, b, form.apply(ring, a, b).reshape(form.shape(left, right) + ring.limbs))
        own = []
        for secret in secrets:
            rest, parts = secret, []
            for _ in range(self._parties - 1):
                parts.append(ring.random(self._randomness, ring.shape_of(secret)))
                rest = ring.subtract(rest, parts[-1])
            own.append([*parts, rest][self._index])
        return own[0], own[1], own[2]
        yield


def dealt_additive(party: Party, compute: tuple[PartyId, ...] | None = None) -> Protocol[Any]:
    """Start profile additive with a trusted dealer's triples."""
    chosen = compute or tuple(PartyId(number) for number in range(party.n))
    index = chosen.index(party.id) if party.id in chosen else 0
    return additive.start(party, compute, DealtTriples(index, len(chosen)))


@dataclass(frozen=True)
class Setup:
    """A profile with a number of parties, named for the test's identifier."""

    profile: str
    n: int
    compute: tuple[int, ...]

    @property
    def start(self) -> Start:
        """Start an engine of this set-up."""
        starts: dict[str, Callable[..., Protocol[Any]]] = {
            "additive": dealt_additive,
            "replicated": replicated.start,
            "malicious": malicious.start,
            "shamir": shamir.start,
        }
        return partial(starts[self.profile], compute=tuple(map(PartyId, self.compute)))

    def __str__(self) -> str:
        return f"{self.profile}-{self.n}-{''.join(map(str, self.compute))}"


SETUPS = [
    *(Setup("additive", n, tuple(range(n))) for n in (2, 3, 4, 5, 10)),
    Setup("additive", 4, (3, 1)),
    *(Setup("replicated", n, (0, 1, 2)) for n in (3, 4, 5, 10)),
    Setup("replicated", 5, (4, 1, 3)),
    *(Setup("malicious", n, (0, 1, 2)) for n in (3, 4, 10)),
    Setup("malicious", 5, (4, 1, 3)),
    *(Setup("shamir", n, tuple(range(n))) for n in (3, 4, 5, 10)),
    Setup("shamir", 6, (5, 0, 2)),
]
MODELS = {
    "additive": additive.Additive.model,
    "replicated": replicated.Replicated.model,
    "malicious": malicious.Malicious.model,
    "shamir": shamir.Shamir.model,
}


def parties(n: int, seed: int = 0) -> list[Party]:
    """Return n parties with fixed, different randomness."""
    return [
        Party(PartyId(number), n, Randomness(bytes([seed, number + 1]) * 16)) for number in range(n)
    ]


def engines(start: Start = replicated.start, n: int = 3, seed: int = 0) -> list[Any]:
    """Return the engines of a new session, one for each party."""
    return run_locally([start(party) for party in parties(n, seed)])


def run(
    program: Program,
    start: Start = replicated.start,
    n: int = 3,
    seed: int = 0,
    *,
    drop_out: Mapping[PartyId, int] | None = None,
    alter: Alteration | None = None,
) -> Session:
    """Run a program at every party of a new session; the session's set-up is not counted."""
    started = engines(start, n, seed)
    messages: list[Message] = []
    programs = [program(engine) for engine in started]
    results = run_locally(programs, messages.append, drop_out=drop_out, alter=alter)
    return Session(results, messages)
