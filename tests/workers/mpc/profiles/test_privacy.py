"""P3, exhaustively: over tiny rings, all randomness is enumerated, and what any allowed set of
corrupt parties sees must be distributed identically for all secrets.

A protocol that works element by element is run once on vectors whose elements are all states of the
randomness: every draw of a key is one digit of the element's number. The shares that a protocol
starts from are digits, too. Every draw is then left out in turn (it becomes zero): somebody must
see more than before, or the draw would protect nothing.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from workers.mpc.forms import ELEMENTWISE
from workers.mpc.profiles.additive import Additive
from workers.mpc.profiles.replicated import Replicated
from workers.mpc.profiles.shamir import Shamir
from workers.mpc.profiles.shuffling import shuffle
from workers.mpc.protocol import Message, Party, PartyId, Protocol, run_locally
from workers.mpc.randomness import Randomness
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Ring
from workers.mpc.rings.mersenne import PrimeField
from workers.mpc.rings.words import BitWords, IntegersModuloPowerOfTwo
from workers.mpc.secret import Secret


@dataclass
class States:
    """All states of the randomness: digits of known base, in the order in which they are named."""

    bases: dict[str, int] = field(default_factory=dict)
    zeroed: str | None = None
    discovering: bool = False

    @property
    def count(self) -> int:
        return 1 if self.discovering else int(np.prod([1, *self.bases.values()]))

    def digit(self, name: str, base: int) -> np.ndarray:
        """Return the digit's value in every state; while discovering, name it."""
        if self.discovering:
            assert self.bases.setdefault(name, base) == base
            return np.zeros(1, dtype=np.int64)
        names = list(self.bases)
        below = int(np.prod([1, *(self.bases[other] for other in names[: names.index(name)])]))
        values = (np.arange(self.count) // below) % base
        return np.zeros_like(values) if name == self.zeroed else values


class Enumerated(Randomness):
    """A key whose draws are digits; two parties that share it draw the same ones."""

    __slots__ = ("_drawn", "_name", "_states", "seen")

    def __init__(self, states: States, name: str) -> None:
        self._states, self._name, self._drawn = states, name, 0
        self.seen: list[np.ndarray] = []

    def words(self, shape: tuple[int, ...], bits: int = 64) -> np.ndarray:
        return self._next(shape, 2**bits).astype(f"u{max(1, (bits + 7) // 8)}")

    def below(self, modulus: int, shape: tuple[int, ...]) -> np.ndarray:
        return self._next(shape, modulus).astype(np.uint64)

    def _next(self, shape: tuple[int, ...], base: int) -> np.ndarray:
        drawn = self._states.digit(f"{self._name} {self._drawn}", base)
        self._drawn += 1
        assert shape == (len(drawn),), "the protocol works element by element"
        self.seen.append(drawn)
        return drawn


Case = Callable[[States, tuple[int, ...]], tuple[list[Protocol[Any]], list[list[np.ndarray]], list]]
"""From the states and the secrets: the programs, what each party holds, and its keys."""


def distribution(
    case: Case, secrets: tuple[int, ...], corrupt: Sequence[int], states: States
) -> dict[int, int]:
    """Return how often the corrupt parties see what, over all states."""
    programs, held, keys = case(states, secrets)
    messages: list[Message] = []
    run_locally(programs, messages.append)
    columns = [np.asarray(part).reshape(states.count, -1) for i in corrupt for part in held[i]]
    columns += [drawn.reshape(-1, 1) for i in corrupt for key in keys[i] for drawn in key.seen]
    for message in messages:
        if message.receiver in corrupt:
            content = np.frombuffer(bytes(message.content), dtype=np.uint8)
            columns += _by_state(content, states.count)
    rows = np.concatenate([column.astype(np.uint64) for column in columns], axis=1)
    # Rows are told apart by a random linear form modulo 2^64: two collide with chance 2^-63.
    weights = np.random.default_rng(1).integers(0, 2**64, rows.shape[1], dtype=np.uint64)
    unique, counts = np.unique(rows @ (weights | np.uint64(1)), return_counts=True)
    return dict(zip(unique.tolist(), counts.tolist(), strict=True))


def _by_state(content: np.ndarray, count: int) -> list[np.ndarray]:
    """Cut a message of arrays of one-byte or eight-byte elements into columns by state."""
    width = len(content) // count
    assert len(content) == width * count
    if width == 8:
        return [content.reshape(count, 8)]
    return [
        content[start * count : (start + 1) * count].reshape(count, 1) for start in range(width)
    ]


def named(case: Case, secrets: tuple[int, ...]) -> States:
    """Return the states with every digit that the case draws, found in a run of one state."""
    states = States(discovering=True)
    programs, _, _ = case(states, secrets)
    run_locally(programs)
    return States(states.bases)


def check_private(
    case: Case, secrets: Sequence[tuple[int, ...]], coalitions: Sequence[Sequence[int]]
) -> States:
    """Assert that no coalition can tell any two secrets apart; return the states for mutants."""
    states = named(case, secrets[0])
    assert 2 <= states.count <= 2**21, states
    for corrupt in coalitions:
        first, *others = (
            distribution(case, secret, corrupt, States(dict(states.bases))) for secret in secrets
        )
        for secret, other in zip(secrets[1:], others, strict=True):
            assert other == first, f"parties {corrupt} can tell {secrets[0]} from {secret}"
    return states


def check_every_draw_counts(
    case: Case,
    secrets: Sequence[tuple[int, ...]],
    coalitions: Sequence[Sequence[int]],
    states: States,
) -> None:
    """Assert that leaving out any draw lets some coalition see the secret."""
    survivors = []
    for name in states.bases:
        caught = any(
            len(
                {
                    frozenset(
                        distribution(
                            case, secret, corrupt, States(dict(states.bases), zeroed=name)
                        ).items()
                    )
                    for secret in secrets
                }
            )
            > 1
            for corrupt in coalitions
        )
        if not caught:
            survivors.append(name)
    assert survivors == []


# Profile replicated: three parties, one corrupt.

EACH_ONE = [(0,), (1,), (2,)]


def replicated(states: States, ring: Ring, secrets: Sequence[int], program: Any) -> Any:
    """Return a case on uniform sharings of the secrets."""
    keys = {i: [Enumerated(states, f"key {i}"), Enumerated(states, f"key {i}")] for i in range(3)}
    sharings = []
    for number, secret in enumerate(secrets):
        base = ring.highest - ring.lowest + 1
        first = ring.encode(states.digit(f"share {number} 0", base))
        second = ring.encode(states.digit(f"share {number} 1", base))
        rest = ring.subtract(
            ring.subtract(ring.encode(np.full(states.count, secret)), first), second
        )
        sharings.append([first, second, rest])
    programs, held, own = [], [], []
    for i in range(3):
        party = Party(PartyId(i), 3, Randomness(bytes(32)))
        mine = (keys[i][0], keys[(i + 1) % 3][1])
        engine = Replicated(party, [PartyId(0), PartyId(1), PartyId(2)], mine)
        declared = Range(ring.lowest, ring.highest)
        inputs = [
            Secret(engine, (sharing[i], sharing[(i + 1) % 3]), ring, declared)
            for sharing in sharings
        ]
        programs.append(program(engine, inputs))
        held.append([sharing[j % 3] for sharing in sharings for j in (i, i + 1)])
        own.append(list(mine))
    return programs, held, own


@pytest.mark.parametrize(
    "ring", [IntegersModuloPowerOfTwo(1), IntegersModuloPowerOfTwo(2), BitWords(1)], ids=repr
)
def test_a_replicated_product_shows_nothing(ring: Ring) -> None:
    def case(states: States, secrets: tuple[int, ...]) -> Any:
        limit = Range(ring.lowest, ring.highest)

        def program(engine: Replicated, inputs: list[Secret]) -> Protocol[Any]:
            return engine.multiply(*inputs, declared=limit)

        return replicated(states, ring, secrets, program)

    values = range(ring.lowest, ring.highest + 1)
    secrets = list(itertools.product(values, values))
    states = check_private(case, secrets, EACH_ONE)
    check_every_draw_counts(case, secrets, EACH_ONE, states)


def truncating(dealer: int, ring: Ring) -> Case:
    from workers.mpc.profiles import one_wrap

    def case(states: States, secrets: tuple[int, ...]) -> Any:
        def program(engine: Replicated, inputs: list[Secret]) -> Protocol[Any]:
            own, following = inputs[0].parts
            role = (engine.index - dealer) % 3
            known = ring.add(own, following) if role == 0 else following if role == 1 else own
            return one_wrap._truncate(engine, dealer, known, 1, ring)

        return replicated(states, ring, secrets, program)

    return case


@pytest.mark.parametrize("dealer", [0, 1, 2])
def test_a_replicated_truncation_shows_nothing(dealer: int) -> None:
    case = truncating(dealer, IntegersModuloPowerOfTwo(3))
    secrets = [(-1,), (0,), (1,)]
    states = check_private(case, secrets, EACH_ONE)
    check_every_draw_counts(case, secrets, EACH_ONE, states)


@pytest.mark.parametrize("dealer", [0, 1, 2])
def test_a_conversion_of_bits_shows_nothing(dealer: int) -> None:
    from workers.mpc.profiles import one_wrap

    ring = IntegersModuloPowerOfTwo(2)

    def case(states: States, secrets: tuple[int, ...]) -> Any:
        def program(engine: Replicated, inputs: list[Secret]) -> Protocol[Any]:
            own, following = inputs[0].parts
            role = (engine.index - dealer) % 3
            bit = own ^ following if role == 0 else following if role == 1 else own
            dealt = one_wrap._Dealt(ring.from_words(bit), ring.from_words(bit))
            return one_wrap._joined(
                engine, dealer, dealt, ring, ring, lambda c: ring.negate(ring.add(c, c))
            )

        return replicated(states, BitWords(1), secrets, program)

    states = check_private(case, [(0,), (1,)], EACH_ONE)
    check_every_draw_counts(case, [(0,), (1,)], EACH_ONE, states)


def test_a_replicated_input_shows_nothing_to_the_others() -> None:
    ring = IntegersModuloPowerOfTwo(3)

    def case(states: States, secrets: tuple[int, ...]) -> Any:
        def program(engine: Replicated, _: list[Secret]) -> Protocol[Any]:
            own = np.full(states.count, secrets[0])
            return engine.input_from(
                [PartyId(0)], own if engine.index == 0 else None, own.shape, Range(-4, 3), ring=ring
            )

        return replicated(states, ring, [], program)

    secrets = [(value,) for value in range(-4, 4)]
    states = check_private(case, secrets, [(1,), (2,)])
    check_every_draw_counts(case, secrets, [(1,), (2,)], states)


# Profile additive: all parties but one corrupt; the triple is uniform.


class UniformTriple:
    def __init__(self, parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        self._parts = parts

    def take(self, *_: Any) -> Protocol[Any]:
        return self._parts
        yield


def additive_product(n: int, ring: Ring) -> Case:
    base = ring.highest - ring.lowest + 1

    def split(states: States, name: str, secret: np.ndarray) -> list[np.ndarray]:
        parts = [ring.encode(states.digit(f"{name} {i}", base)) for i in range(n - 1)]
        rest = secret
        for part in parts:
            rest = ring.subtract(rest, part)
        return [*parts, rest]

    def case(states: States, secrets: tuple[int, ...]) -> Any:
        inputs = [
            split(states, f"share {number}", ring.encode(np.full(states.count, secret)))
            for number, secret in enumerate(secrets)
        ]
        a, b = (ring.encode(states.digit(name, base)) for name in ("a", "b"))
        triple = [
            split(states, name, whole)
            for name, whole in (("a share", a), ("b share", b), ("c share", ring.multiply(a, b)))
        ]
        programs, held = [], []
        for i in range(n):
            party = Party(PartyId(i), n, Randomness(bytes(32)))
            everyone = [PartyId(j) for j in range(n)]
            own = tuple(parts[i] for parts in triple)
            engine = Additive(party, everyone, {}, UniformTriple(own))  # type: ignore[arg-type]
            limit = Range(ring.lowest, ring.highest)
            x, y = (Secret(engine, (parts[i],), ring, limit) for parts in inputs)
            programs.append(engine.product(x, y, ELEMENTWISE, declared=limit))
            held.append([*(parts[i] for parts in inputs), *own])
        return programs, held, [[] for _ in range(n)]

    return case


@pytest.mark.parametrize(
    ("n", "ring"),
    [(2, IntegersModuloPowerOfTwo(2)), (3, BitWords(1)), (3, IntegersModuloPowerOfTwo(1))],
)
def test_an_additive_product_shows_nothing_to_all_but_one(n: int, ring: Ring) -> None:
    case = additive_product(n, ring)
    values = range(ring.lowest, ring.highest + 1)
    secrets = list(itertools.product(values, values))
    coalitions = list(itertools.combinations(range(n), n - 1))
    states = check_private(case, secrets, coalitions)
    check_every_draw_counts(case, secrets, coalitions, states)


# Profile shamir: t of n corrupt.


def shares_of(
    states: States, field: PrimeField, name: str, secret: np.ndarray, n: int, degree: int
) -> list:
    coefficients = [
        states.digit(f"{name} {i}", field.modulus).astype(np.uint64) for i in range(degree)
    ]
    shares = []
    for point in range(1, n + 1):
        value = field.encode(secret)
        for power, coefficient in enumerate(coefficients, 1):
            weight = np.uint64(pow(point, power, field.modulus))
            value = field.add(value, field.multiply(coefficient, weight))
        shares.append(value)
    return shares


@pytest.mark.parametrize(("p", "n", "t"), [(5, 3, 1), (5, 4, 1), (7, 5, 2), (7, 6, 2)])
def test_a_shamir_sharing_shows_nothing_to_t_parties(p: int, n: int, t: int) -> None:
    field = PrimeField(p)

    def case(states: States, secrets: tuple[int, ...]) -> Any:
        programs, held = [], []
        dealer = Enumerated(states, "dealer")
        for i in range(n):
            party = Party(PartyId(i), n, dealer if i == 0 else Randomness(bytes(32)))
            engine = Shamir(party, [PartyId(j) for j in range(n)], t, field)
            own = np.full(states.count, secrets[0])
            programs.append(
                engine.input_from(
                    [PartyId(0)], own if i == 0 else None, own.shape, Range(-(p // 2), p // 2)
                )
            )
            held.append([])
        return programs, held, [[] for _ in range(n)]

    secrets = [(value,) for value in range(-(p // 2), p // 2 + 1)]
    coalitions = list(itertools.combinations(range(1, n), t))
    states = check_private(case, secrets, coalitions)
    check_every_draw_counts(case, secrets, coalitions, states)
    # One party more determines the secret: the threshold is not off by one.
    too_many = tuple(range(1, t + 2))
    seen = [distribution(case, secret, too_many, States(dict(states.bases))) for secret in secrets]
    assert all(not a.keys() & b.keys() for a, b in itertools.combinations(seen, 2))


def test_a_shamir_product_shows_nothing_to_t_parties() -> None:
    field, n, t = PrimeField(5), 3, 1

    def case(states: States, secrets: tuple[int, ...]) -> Any:
        inputs = [
            shares_of(states, field, f"input {number}", np.full(states.count, secret), n, t)
            for number, secret in enumerate(secrets)
        ]
        mask = states.digit("mask", 5)
        low = shares_of(states, field, "low", mask, n, t)
        high = shares_of(states, field, "high", mask, n, 2 * t)
        programs, held = [], []
        for i in range(n):
            party = Party(PartyId(i), n, Randomness(bytes(32)))
            engine = Shamir(party, [PartyId(j) for j in range(n)], t, field)
            engine._masks, engine._prepared = [(low[i], high[i])], states.count
            limit = Range(-2, 2)
            x, y = (Secret(engine, (parts[i],), field, limit) for parts in inputs)
            programs.append(engine.product(x, y, ELEMENTWISE, declared=limit))
            held.append([*(parts[i] for parts in inputs), low[i], high[i]])
        return programs, held, [[] for _ in range(n)]

    secrets = [(0, 0), (1, 2), (-2, 2), (2, 2)]
    states = check_private(case, secrets, EACH_ONE)
    check_every_draw_counts(case, secrets, EACH_ONE, states)


# Shuffling: every party knows two of three permutations.


def test_a_shuffle_shows_nothing_and_its_permutation_is_uniform() -> None:
    """Two rows of one bit each, all masks and all three permutations."""
    views: dict[tuple[int, int], dict[int, int]] = {}
    composed: dict[tuple[int, int, int], set[int]] = {}
    for secret in range(4):
        for swaps in itertools.product((0, 1), repeat=3):
            for party, view in enumerate(_shuffled(secret, swaps)):
                known = views.setdefault((party, secret), {})
                for row in view.tolist():
                    known[row] = known.get(row, 0) + 1
                own = (party, swaps[party - 1], swaps[party])
                composed.setdefault(own, set()).add(sum(swaps) % 2)
    for party in range(3):
        assert all(views[party, secret] == views[party, 0] for secret in range(4))
    assert all(len(orders) == 2 for orders in composed.values())


def _shuffled(secret: int, swaps: tuple[int, ...]) -> list[np.ndarray]:
    """Return what each party sees in every state, as one number a state."""
    ring = IntegersModuloPowerOfTwo(1)
    names = [
        f"{what} {number}"
        for what, n in (("share", 4), ("mask", 6), ("last", 4))
        for number in range(n)
    ]
    states = States(dict.fromkeys(names, 2))

    def rows(what: str, first: int) -> np.ndarray:
        pair = [states.digit(f"{what} {first + row}", 2) for row in range(2)]
        return np.array(pair, dtype=np.uint8)

    values = np.array([[secret & 1], [secret >> 1]]).repeat(states.count, axis=1)
    parts = [rows("share", 0), rows("share", 2)]
    parts.append(ring.subtract(ring.subtract(ring.encode(values), parts[0]), parts[1]))

    def scripted(hop: int) -> list[np.ndarray]:
        """The draws of the key that the hop's pair shares; the last pair draws two more."""
        order = np.array([swaps[hop], 1 - swaps[hop]], dtype=np.uint64)
        return [
            order,
            rows("mask", 2 * hop),
            *([rows("last", 0), rows("last", 2)] if hop == 2 else []),
        ]

    programs = []
    for i in range(3):
        # Key k_i is that of parties i and i - 1, the pair of hop i - 1.
        mine = (Scripted(scripted((i - 1) % 3)), Scripted(scripted(i)))
        party = Party(PartyId(i), 3, Randomness(bytes(32)))
        engine = Replicated(party, [PartyId(0), PartyId(1), PartyId(2)], mine)
        held = Secret(engine, (parts[i], parts[(i + 1) % 3]), ring, Range(-1, 0))
        programs.append(shuffle(engine, [held]))
    messages: list[Message] = []
    run_locally(programs, messages.append)
    weights = np.random.default_rng(2).integers(0, 2**64, 64, dtype=np.uint64) | np.uint64(1)
    views = []
    for i in range(3):
        columns = [parts[i], parts[(i + 1) % 3]]
        for draw in scripted((i - 1) % 3) + scripted(i):
            columns.append(draw if draw.ndim == 2 else draw[:, None].repeat(states.count, axis=1))
        columns += [
            np.frombuffer(bytes(m.content), dtype=np.uint8).reshape(2, -1)
            for m in messages
            if m.receiver == i
        ]
        seen = np.concatenate([column.astype(np.uint64) for column in columns])
        views.append(weights[: len(seen)] @ seen)
    return views


class Scripted(Randomness):
    """A key that gives out prepared draws."""

    __slots__ = ("_draws",)

    def __init__(self, draws: list[np.ndarray]) -> None:
        self._draws = iter(draws)

    def words(self, shape: tuple[int, ...], bits: int = 64) -> np.ndarray:
        return next(self._draws)
