"""P35: every message of a representative circuit is corrupted in every way, one sender at a time.

What counts is what an honest party accepts. A wrong output must never be accepted; a party that
notices aborts before it returns anything, and its session is dead.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.workers.mpc.parties import Setup, engines, run
from workers.mpc.arithmetic import comparison
from workers.mpc.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from workers.mpc.profiles import malicious, replicated, sacrifice
from workers.mpc.profiles.malicious import Malicious
from workers.mpc.profiles.sacrifice import bucket_size
from workers.mpc.protocol import Message, PartyId, Protocol, Round, check_arrived
from workers.mpc.randomness import Randomness
from workers.mpc.ranges import Range

X, Y = np.array([5, -3, 1000, 0]), np.array([7, 11, -13, 2])
SMALL = Range(-1000, 1000)
SETUP = Setup("malicious", 4, (0, 1, 2))


def circuit(engine: Malicious) -> Protocol[Any]:
    """Inputs from a computing and an outside party; products, a dot, a truncation, a comparison."""
    owners = [PartyId(0), PartyId(3)]
    own = X if engine.party.id == 0 else Y if engine.party.id == 3 else None
    secrets = yield from engine.input_from(owners, own, (4,), SMALL)
    if not engine.computes:
        return None
    x, y = secrets
    product = yield from engine.multiply(x, y)
    matrix = yield from engine.matmul(x.reshape(2, 2), y.reshape(2, 2))
    shifted = yield from engine.truncate(product, 3)
    dot = yield from engine.dot(x, y)
    smaller = yield from engine.bit_to_arithmetic((yield from comparison.less(engine, x, y)))
    opened = []
    for secret in (product, shifted, dot, smaller, matrix):
        opened.append((yield from engine.open(secret)).tolist())
    to_one = yield from engine.open_to(product, PartyId(1))
    opened.append(None if to_one is None else to_one.tolist())
    opened.append((yield from engine.sealed(smaller)))
    return opened


class Apart:
    """Runs the parties side by side, each to its own end: a result or an error."""

    def __init__(self, alter: Callable[[int, Message], bytes] | None = None) -> None:
        self.started = engines(SETUP.start, SETUP.n)
        self.messages: list[Message] = []
        self.errors: dict[int, ProtocolError] = {}
        self.results: dict[int, Any] = {}
        self._alter = alter
        self._run()

    def _run(self) -> None:
        programs = [circuit(engine) for engine in self.started]
        states: dict[int, Round] = {}
        for number, program in enumerate(programs):
            self._resume(number, program, None, states)
        round_index = 0
        while states:
            boxes: dict[int, dict[PartyId, bytes]] = {number: {} for number in states}
            for sender, round_ in states.items():
                for receiver, content in round_.send.items():
                    message = Message(round_index, PartyId(sender), receiver, bytes(content))
                    altered = self._alter(len(self.messages), message) if self._alter else None
                    self.messages.append(message)
                    if receiver in boxes:
                        boxes[receiver][PartyId(sender)] = (
                            message.content if altered is None else altered
                        )
            for number, round_ in list(states.items()):
                del states[number]
                try:
                    check_arrived(round_, boxes[number])
                except RemoteProtocolError as error:
                    self.errors[number] = error
                    programs[number].close()
                else:
                    self._resume(number, programs[number], boxes[number], states)
            round_index += 1

    def _resume(self, number: int, program: Any, arrived: Any, states: dict[int, Round]) -> None:
        try:
            states[number] = next(program) if arrived is None else program.send(arrived)
        except StopIteration as finished:
            self.results[number] = finished.value
        except ProtocolError as error:
            self.errors[number] = error


HONEST = Apart()


def right(number: int, result: Any) -> bool:
    """Whether a party's outputs are what the plaintext says; sealed bytes are another test's."""
    if result is None:
        return number == 3
    product, shifted, dot, smaller, matrix, to_one, _ = result
    near = np.abs(np.array(shifted) - (X * Y >> 3)).max() <= 1
    return (
        product == (X * Y).tolist()
        and bool(near)
        and dot == int(X @ Y)
        and smaller == (X < Y).astype(int).tolist()
        and matrix == (X.reshape(2, 2) @ Y.reshape(2, 2)).tolist()
        and to_one == ((X * Y).tolist() if number == 1 else None)
    )


def corruptions(index: int, message: Message) -> Iterator[tuple[str, bytes]]:
    content = bytes(message.content)
    drawn = Randomness(index.to_bytes(32, "big")).bytes(len(content))
    flipped = [bytearray(content) for _ in range(3)]
    flipped[0][0] ^= 1
    flipped[1][-1] ^= 0x80
    flipped[2][len(content) // 2] ^= 0x10
    candidates = [
        *((f"bit flip {number}", bytes(one)) for number, one in enumerate(flipped)),
        ("random", drawn),
        ("zero", bytes(len(content))),
        ("shorter", content[:-1]),
        ("longer", content + b"\0"),
        ("empty", b""),
    ]
    same_size = [m for m in HONEST.messages[:index] if len(m.content) == len(content)]
    if same_size:
        candidates.append(("replayed", bytes(same_size[-1].content)))
        candidates.append(("another party's", bytes(same_size[0].content)))
    yield from ((kind, altered) for kind, altered in candidates if altered != content)


def test_the_honest_run_is_right() -> None:
    assert not HONEST.errors
    assert all(right(number, result) for number, result in HONEST.results.items())
    sealed = [HONEST.results[number][-1] for number in range(3)]
    assert replicated.reconstruct(sealed).tolist() == (X < Y).astype(int).tolist()


@pytest.mark.parametrize("part", range(8))
def test_no_corruption_of_any_message_makes_an_honest_party_accept_a_wrong_output(
    part: int,
) -> None:
    tried = unnoticed = 0
    for index in range(part, len(HONEST.messages), 8):
        message = HONEST.messages[index]
        for kind, altered in corruptions(index, message):

            def alter(at: int, _: Message, index: int = index, altered: bytes = altered) -> Any:
                return altered if at == index else None

            session = Apart(alter)
            tried += 1
            corrupt = int(message.sender)
            accepted = {n: r for n, r in session.results.items() if n != corrupt}
            wrong = [n for n, result in accepted.items() if not right(n, result)]
            if message.sender == 3:
                # An outside owner that deals inconsistent shares is a party of its own choice.
                wrong = [n for n in wrong if not session.errors]
            assert not wrong, f"{kind} of message {index} from party {corrupt}: accepted by {wrong}"
            unnoticed += not session.errors
            for number in session.errors:
                assert_dead(session.started[number])
    assert tried > 150
    # Only the last messages of all can go unnoticed by their receivers: nothing depends on them.
    assert unnoticed == 0, f"{unnoticed} of {tried}"


def assert_dead(engine: Malicious) -> None:
    if not engine.computes:
        return
    assert engine._keys is None, "the keys are forgotten"
    with pytest.raises(LocalProtocolError, match="session is dead"):
        next(engine.input_from([PartyId(0)], X, (4,), SMALL))
    with pytest.raises(LocalProtocolError, match="session is dead"):
        next(engine.verify())


class AddsToProducts(Malicious):
    """Party 1, who adds an error to its part of the n-th product, triples included."""

    wrong: frozenset[int] = frozenset()

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.count = 0

    def reshared(self, local: Any, ring: Any) -> Any:
        if self.count in self.wrong:
            local = local.copy()
            local.reshape(-1)[0] += local.dtype.type(1)
        self.count += 1
        return super().reshared(local, ring)


@pytest.mark.parametrize("wrong", [{0}, {1}, {0, 1}, {2}])
def test_a_party_that_errs_throughout_is_caught(wrong: set[int]) -> None:
    """In a product, in a triple, in both (hoping that they meet), or in a second product."""

    def program(engine: Any) -> Protocol[Any]:
        secrets = yield from engine.input_from(
            [PartyId(0)], X if engine.index == 0 else None, (4,), SMALL
        )
        square = yield from engine.square(secrets[0])
        opened = yield from engine.open(square)
        again = yield from engine.multiply(square, secrets[0])
        return opened, (yield from engine.open(again))

    def start(party: Any) -> Protocol[Any]:
        engine = yield from malicious.start(party)
        if party.id == 1:
            cheat = AddsToProducts(party, engine.compute, (engine.own_key, engine.next_key))
            cheat.wrong = frozenset(wrong)
            return cheat
        return engine

    with pytest.raises(RemoteProtocolError, match="deviated"):
        run(program, start)


def test_the_bucket_size_makes_cheating_a_chance_of_2_to_the_minus_40() -> None:
    for gates in (1, 2, 10, 1000, 10**6):
        size = bucket_size(gates)
        assert math.comb(gates * size + size, size) >= 2**40
        assert math.comb(gates * (size - 1) + size - 1, size - 1) < 2**40
    assert [bucket_size(gates) for gates in (1, 1000, 10**6)] == [22, 4, 2]


def test_with_too_small_buckets_cheating_succeeds_as_often_as_predicted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sweep is known to find what there is to find: with B = 1, one gate, one opened triple,
    a cheater who spoils the gate and one of two triples alike wins in half of all runs."""
    monkeypatch.setattr(sacrifice, "bucket_size", lambda gates: 1)
    won = 0
    for seed in range(100):

        def program(engine: Any) -> Protocol[Any]:
            own = np.array([5]) if engine.index == 0 else None
            [x] = yield from engine.input_from([PartyId(0)], own, (1,), SMALL)
            square = yield from engine.square(x)
            return (yield from engine.open(square)).tolist()

        def start(party: Any) -> Protocol[Any]:
            engine = yield from malicious.start(party)
            if party.id == 1:
                cheat = AddsToProducts(party, engine.compute, (engine.own_key, engine.next_key))
                cheat.wrong = frozenset({0, 1})
                return cheat
            return engine

        try:
            results = run(program, start, seed=seed).results
        except RemoteProtocolError:
            continue
        assert results[0] == [26], "the cheater's result"
        won += 1
    assert 30 <= won <= 70


def test_sending_a_digest_back_confirms_nothing() -> None:
    """P9: an echo of what arrived is not what the echoing party should have sent."""
    [first, second, _] = engines(malicious.start)
    programs = [first.verify(), second.verify()]
    rounds = [next(program) for program in programs]
    echoed = bytes(rounds[0].send[PartyId(1)])
    with pytest.raises(RemoteProtocolError, match="not what it should be"):
        programs[0].send({PartyId(1): echoed, PartyId(2): bytes(32)})


def test_long_computations_are_verified_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(malicious, "VERIFY_FROM", 100)

    def program(engine: Malicious) -> Protocol[Any]:
        [x] = yield from engine.input_from(
            [PartyId(0)], np.arange(60) if engine.index == 0 else None, (60,), SMALL
        )
        for _ in range(4):
            x = (yield from engine.multiply(x, x, declared=Range(0, 2**62))).declared(
                Range(0, 1000)
            )
            assert len(engine._gates) <= 2
        return None

    run(program, malicious.start)


def test_a_malicious_party_still_chooses_its_own_input() -> None:
    """What the profile does not promise: an input within its range is a party's own business."""

    def program(engine: Malicious) -> Protocol[Any]:
        own = np.array([1000]) if engine.index == 1 else None
        [x] = yield from engine.input_from([PartyId(1)], own, (1,), SMALL)
        return (yield from engine.open(x)).tolist()

    assert run(program, malicious.start).results == [[1000]] * 3
