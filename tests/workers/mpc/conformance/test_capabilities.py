"""One suite for each capability, on every profile that declares it, at every number of parties."""

from typing import Any

import numpy as np
import pytest

from tests.workers.mpc.parties import MODELS, SETUPS, Session, Setup, run
from workers.mpc.arithmetic import bits, comparison, sorting
from workers.mpc.engine import Engine
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.models import Capability
from workers.mpc.protocol import PartyId, Protocol
from workers.mpc.ranges import Range
from workers.mpc.rings.base import Ring
from workers.mpc.rings.words import BITS8, BITS64, Z8, Z16, Z32, Z64, BitWords
from workers.mpc.secret import Secret

RING = Range(-(2**31), 2**31 - 1)
BOUNDS = [-(2**31), 2**31 - 1, 0, 1, -1, 2**30]


def having(capability: Capability) -> Any:
    chosen = [setup for setup in SETUPS if capability in MODELS[setup.profile].capabilities]
    return pytest.mark.parametrize("setup", chosen, ids=str)


def numbers(owner: int, size: int = 40, declared: Range = RING) -> np.ndarray:
    drawn = np.random.default_rng(owner).integers(declared.low, declared.high, size, endpoint=True)
    bounds = [value for value in BOUNDS if declared.low <= value <= declared.high]
    drawn[: len(bounds)] = np.roll(bounds, owner)[:size]
    return drawn


def shared(
    engine: Engine, size: int = 40, declared: Range = RING, ring: Ring | None = None
) -> Protocol[list[Secret]]:
    """Share the vectors of all parties of the session, input-only ones among them."""
    everyone = [PartyId(number) for number in range(engine.party.n)]
    own = numbers(engine.party.id, size, declared)
    options = {} if ring is None else {"ring": ring}
    return (yield from engine.input_from(everyone, own, (size,), declared, **options))


def outcomes(setup: Setup, session: Session) -> list[Any]:
    """Return the results of those who compute; the others must have none."""
    for number, result in enumerate(session.results):
        assert (result is None) is (number not in setup.compute)
    return [session.results[number] for number in setup.compute]


def computing(program: Any) -> Any:
    """Run a program on the shared vectors at those who compute; the others only share."""

    def at_party(engine: Engine) -> Protocol[Any]:
        secrets = yield from shared(engine)
        if not engine.computes:
            return None
        return (yield from program(engine, secrets))

    return at_party


@having(Capability.SUM)
def test_sums_constants_and_scalings(setup: Setup) -> None:
    def program(engine: Engine, secrets: list[Secret]) -> Protocol[Any]:
        total = secrets[0]
        for other in secrets[1:]:
            total = total + other
        weighted = 3 * secrets[0] - secrets[1] * np.arange(40) + 7 - (5 - secrets[0])
        summed = secrets[0].reshape(4, 10).sum(axis=1)
        constant = engine.constant([1, -2, 3], secrets[0].ring)
        opened = []
        for secret in (total, weighted, summed, constant, -secrets[1], secrets[0][::2]):
            opened.append((yield from engine.open(secret)).tolist())
        return opened

    x, y = numbers(0), numbers(1)
    expected = [
        sum(numbers(owner) for owner in range(setup.n)).tolist(),
        (3 * x - y * np.arange(40) + 7 - (5 - x)).tolist(),
        x.reshape(4, 10).sum(axis=1).tolist(),
        [1, -2, 3],
        (-y).tolist(),
        x[::2].tolist(),
    ]
    session = run(computing(program), setup.start, setup.n)
    assert outcomes(setup, session) == [expected] * len(setup.compute)


@having(Capability.SUM)
def test_opening_to_one_tells_nobody_else(setup: Setup) -> None:
    receiver = PartyId(setup.compute[-1])

    def program(engine: Engine, secrets: list[Secret]) -> Protocol[Any]:
        opened = yield from engine.open_to(secrets[0], receiver)
        return "nothing" if opened is None else opened.tolist()

    session = run(computing(program), setup.start, setup.n)
    for number in setup.compute:
        expected = numbers(0).tolist() if number == receiver else "nothing"
        assert session.results[number] == expected


@having(Capability.SUM)
@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([2**31]), "outside its declared range"),
        (np.array([-(2**31) - 1]), "outside its declared range"),
        (np.array([1, 2]), "expected integers of shape"),
        (np.array([1.5]), "expected integers of shape"),
        (np.array([1.5], dtype=object), "expected integers of shape"),
        (None, "has no values"),
    ],
)
def test_an_impossible_input_is_refused_and_nothing_is_sent(
    setup: Setup, values: Any, message: str
) -> None:
    def program(engine: Engine) -> Protocol[Any]:
        return (yield from engine.input_from([PartyId(1)], values, (1,), RING))

    asked = []

    def recorded(engine: Engine) -> Protocol[Any]:
        running = program(engine)
        try:
            round_ = next(running)
            while True:
                asked.append(round_)
                round_ = running.send((yield round_))
        except StopIteration as finished:
            return finished.value

    with pytest.raises(LocalProtocolError, match=message) as refused:
        run(recorded, setup.start, setup.n)
    assert all(not round_.send for round_ in asked), "nothing is sent"
    assert "2147483648" not in str(refused.value).split("range")[0], "no value in a message"


@having(Capability.MULTIPLY)
def test_products_squares_dots_and_matrices(setup: Setup) -> None:
    small = Range(-(2**10), 2**10)

    def at_party(engine: Engine) -> Protocol[Any]:
        secrets = yield from shared(engine, 40, small)
        if not engine.computes:
            return None
        x, y = secrets[:2]
        left, right = x.reshape(8, 5), y.reshape(5, 8)
        results = [
            (yield from engine.multiply(x, y)),
            (yield from engine.multiply(left, y[:5])),
            (yield from engine.square(x)),
            (yield from engine.dot(left, y.reshape(8, 5))),
            (yield from engine.dot(x, y)),
            (yield from engine.matmul(left, right)),
            (yield from engine.matmul(left, y[:5])),
        ]
        assert results[2].range.low == 0, "a square is not negative"
        opened = []
        for result in results:
            opened.append((yield from engine.open(result)).tolist())
        return opened

    x, y = numbers(0, 40, small), numbers(1, 40, small)
    left = x.reshape(8, 5)
    expected = [
        (x * y).tolist(),
        (left * y[:5]).tolist(),
        (x * x).tolist(),
        (left * y.reshape(8, 5)).sum(axis=1).tolist(),
        int(x @ y),
        (left @ y.reshape(5, 8)).tolist(),
        (left @ y[:5]).tolist(),
    ]
    session = run(at_party, setup.start, setup.n)
    assert outcomes(setup, session) == [expected] * len(setup.compute)


@having(Capability.COMPARE)
@pytest.mark.parametrize("ring", [Z8, Z16, Z32, BITS8, BITS64, BitWords(1)], ids=repr)
def test_products_in_every_ring_of_words(setup: Setup, ring: Ring) -> None:
    is_bits = isinstance(ring, BitWords)
    declared = Range(0, min(ring.highest, 2**62)) if is_bits else Range(-(2**3), 2**3)

    def at_party(engine: Engine) -> Protocol[Any]:
        secrets = yield from shared(engine, 30, declared, ring)
        if not engine.computes:
            return None
        product = yield from engine.multiply(secrets[0], secrets[1])
        return (yield from engine.open(product)).tolist()

    x, y = numbers(0, 30, declared), numbers(1, 30, declared)
    expected = (x & y).tolist() if is_bits else (x * y).tolist()
    session = run(at_party, setup.start, setup.n)
    assert outcomes(setup, session) == [expected] * len(setup.compute)


@having(Capability.TRUNCATE)
@pytest.mark.parametrize("shift", [1, 7, 16, 31, 40])
def test_truncation_never_wraps(setup: Setup, shift: int) -> None:
    parts = len(setup.compute)
    largest = Range(-(2**62) + 1, 2**62 - 1)

    def at_party(engine: Engine) -> Protocol[Any]:
        secrets = yield from shared(engine, 500, largest)
        if not engine.computes:
            return None
        # The sum has fresh masks of several parties; half of it has the bounds.
        truncated = yield from engine.truncate(secrets[0], shift)
        assert truncated.fraction == -shift
        opened = yield from engine.open(truncated)
        product = yield from engine.multiply(
            secrets[1].declared(largest), engine.constant(1), shift=shift
        )
        return opened, (yield from engine.open(product))

    for opened, product in outcomes(setup, run(at_party, setup.start, setup.n)):
        for result, exact in (
            (opened, numbers(0, 500, largest)),
            (product, numbers(1, 500, largest)),
        ):
            error = result - (exact >> shift)
            assert error.min() >= -((parts + 1) // 2)
            assert error.max() <= (parts + 1) // 2


@having(Capability.TRUNCATE)
def test_a_truncation_that_could_wrap_is_refused_with_its_step(setup: Setup) -> None:
    def program(engine: Engine, secrets: list[Secret]) -> Protocol[Any]:
        with engine.step("variance"):
            product = yield from engine.multiply(secrets[0], secrets[1])
            return (yield from engine.truncate(product, 16))

    with pytest.raises(LocalProtocolError, match=r"in step variance: a value could reach -?\d+"):
        run(computing(program), setup.start, setup.n)


@having(Capability.COMPARE)
@pytest.mark.parametrize("bound", [2**6 - 1, 2**14 - 1, 2**30 - 1, 2**62 - 1])
def test_comparisons_are_those_of_integers(setup: Setup, bound: int) -> None:
    declared = Range.symmetric(bound)

    def at_party(engine: Engine) -> Protocol[Any]:
        secrets = yield from shared(engine, 60, declared)
        if not engine.computes:
            return None
        x, y = secrets[:2]
        y = Secret(engine, y.parts, y.ring, declared)
        results = [
            (yield from comparison.less(engine, x, y)),
            (yield from comparison.at_most(engine, x, y)),
            (yield from comparison.equal(engine, x, y)),
            (yield from comparison.is_negative(engine, x)),
            (yield from comparison.is_zero(engine, x)),
            (yield from comparison.less(engine, x, 0)),
        ]
        results.append((yield from engine.bit_to_arithmetic(results[0])))
        chosen = yield from comparison.select(engine, results[0], x, y)
        results.append(chosen)
        opened = []
        for result in results:
            opened.append((yield from engine.open(result)).tolist())
        return opened

    x, y = numbers(0, 60, declared), numbers(1, 60, declared)
    expected = [
        (x < y).astype(int).tolist(),
        (x <= y).astype(int).tolist(),
        (x == y).astype(int).tolist(),
        (x < 0).astype(int).tolist(),
        (x == 0).astype(int).tolist(),
        (x < 0).astype(int).tolist(),
        (x < y).astype(int).tolist(),
        np.minimum(x, y).tolist(),
    ]
    session = run(at_party, setup.start, setup.n)
    assert outcomes(setup, session) == [expected] * len(setup.compute)


@having(Capability.COMPARE)
def test_bits_and_back(setup: Setup) -> None:
    def program(engine: Engine, secrets: list[Secret]) -> Protocol[Any]:
        word = yield from bits.bit_decomposition(engine, secrets[0])
        flags = yield from engine.bit_to_arithmetic(bits.bits_of(word, 32))
        weights = np.array([2**place for place in range(31)] + [-(2**31)]).reshape(32, 1)
        return (yield from engine.open((flags * weights).sum(axis=0))).tolist()

    session = run(computing(program), setup.start, setup.n)
    assert outcomes(setup, session) == [numbers(0).tolist()] * len(setup.compute)


@having(Capability.SHUFFLE)
def test_a_shuffle_moves_rows_of_all_columns_together(setup: Setup) -> None:
    def program(engine: Engine, secrets: list[Secret]) -> Protocol[Any]:
        word = yield from bits.bit_decomposition(engine, secrets[0])
        rows = engine.constant(np.arange(80).reshape(40, 2))
        columns = yield from engine.shuffle([secrets[0], word, rows])
        opened = []
        for column in columns:
            opened.append((yield from engine.open(column)).tolist())
        return opened

    first, *others = outcomes(setup, run(computing(program), setup.start, setup.n))
    assert all(other == first for other in others)
    order = np.array(first[2])[:, 0] // 2
    assert sorted(order) == list(range(40))
    assert order.tolist() != list(range(40))
    assert first[0] == numbers(0)[order].tolist()
    assert [value % 2**32 for value in first[0]] == first[1]


@having(Capability.COMPARE)
@pytest.mark.parametrize("size", [1, 2, 3, 13])
def test_sorting_is_stable(setup: Setup, size: int) -> None:
    if setup.n > 5:
        pytest.skip("the same network with more parties")
    declared = Range(-4, 4)

    def at_party(engine: Engine) -> Protocol[Any]:
        secrets = yield from shared(engine, size, declared)
        if not engine.computes:
            return None
        places = engine.constant(np.arange(size))
        keys, moved = yield from sorting.sort(engine, secrets[0], payload=[places])
        return (yield from engine.open(keys)).tolist(), (yield from engine.open(moved[0])).tolist()

    x = numbers(0, size, declared)
    order = np.argsort(x, kind="stable")
    session = run(at_party, setup.start, setup.n)
    assert outcomes(setup, session) == [(x[order].tolist(), order.tolist())] * len(setup.compute)


@having(Capability.DROPOUT)
def test_sums_and_products_survive_dropouts_in_any_later_round(setup: Setup) -> None:
    n, threshold = len(setup.compute), (len(setup.compute) - 1) // 2
    spare = n - 2 * threshold - 1
    small = Range(-1000, 1000)

    def at_party(engine: Any) -> Protocol[Any]:
        yield from engine.prepare(80)
        secrets = yield from shared(engine, 40, small)
        if not engine.computes:
            return None
        product = yield from engine.multiply(secrets[0], secrets[1])
        square = yield from engine.square(product + secrets[2])
        return (yield from engine.open(square)).tolist()

    x, y, z = (numbers(owner, 40, small) for owner in range(3))
    expected = ((x * y + z) ** 2).tolist()
    for last in (2, 3, 4):
        # Products need 2 t + 1 parties, an opening t + 1.
        allowed = n - threshold - 1 if last == 4 else spare
        gone = {PartyId(number): last for number in setup.compute[:allowed]}
        session = run(at_party, setup.start, setup.n, drop_out=gone)
        left = [result for result in session.results if result is not None]
        assert left == [expected] * (n - allowed)
        too_many = {PartyId(number): last for number in setup.compute[: allowed + 1]}
        with pytest.raises(RemoteProtocolError, match="sent nothing"):
            run(at_party, setup.start, setup.n, drop_out=too_many)


@having(Capability.SUM)
def test_frames_depend_on_shapes_alone(setup: Setup) -> None:
    """P31: sizes, counts and order of messages are equal for any inputs of one shape."""
    capabilities = MODELS[setup.profile].capabilities

    def session_with(fill: int) -> Session:
        def at_party(engine: Engine) -> Protocol[Any]:
            everyone = [PartyId(number) for number in range(engine.party.n)]
            own = np.full(6, fill)
            secrets = yield from engine.input_from(everyone, own, (6,), Range(-1000, 1000))
            if not engine.computes:
                return None
            x = yield from engine.multiply(secrets[0], secrets[1])
            if Capability.TRUNCATE in capabilities:
                x = (yield from engine.truncate(x, 5)).scaled(0)
            if Capability.COMPARE in capabilities:
                smaller = yield from comparison.less(engine, x, secrets[1] * 1)
                x = yield from comparison.select(engine, smaller, x, secrets[1])
                x, _ = yield from sorting.sort(engine, x)
            return (yield from engine.open(x)).tolist()

        return run(at_party, setup.start, setup.n)

    assert session_with(-1000).shape == session_with(0).shape == session_with(1000).shape


@having(Capability.SUM)
def test_sealed_outputs_are_reconstructed(setup: Setup) -> None:
    from workers.mpc.profiles import additive, replicated, shamir

    def program(engine: Engine, secrets: list[Secret]) -> Protocol[Any]:
        return (yield from engine.sealed(secrets[0] + secrets[1]))

    sealed = outcomes(setup, run(computing(program), setup.start, setup.n))
    expected = (numbers(0) + numbers(1)).tolist()
    if setup.profile == "shamir":
        threshold = (len(setup.compute) - 1) // 2
        some = dict(list(enumerate(sealed))[-threshold - 1 :])
        assert shamir.reconstruct(some, threshold).tolist() == expected
        some.popitem()
        with pytest.raises(LocalProtocolError, match="determine nothing"):
            shamir.reconstruct(some, threshold)
        return
    module = additive if setup.profile == "additive" else replicated
    assert module.reconstruct(sealed).tolist() == expected
    with pytest.raises(RemoteProtocolError, match="sealed"):
        module.reconstruct([*sealed[:-1], sealed[-1][:-8]])
    if module is replicated:
        altered = bytes([sealed[1][0] ^ 1]) + sealed[1][1:]
        with pytest.raises(RemoteProtocolError, match="different copies"):
            replicated.reconstruct([sealed[0], altered, sealed[2]])


@pytest.mark.parametrize(
    ("profile", "compute", "message"),
    [
        ("replicated", (0, 1), "computes with 3"),
        ("replicated", (0, 1, 1), "computes with 3"),
        ("malicious", (0, 1, 2, 3), "computes with 3"),
        ("additive", (0,), "computes with 2 to 32"),
        ("shamir", (0, 1), "computes with 3 to 64"),
        ("shamir", (0, 1, 9), "not all among"),
    ],
)
def test_a_profile_says_how_many_parties_it_takes(
    profile: str, compute: tuple[int, ...], message: str
) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        run(
            computing(lambda engine, secrets: engine.open(secrets[0])),
            Setup(profile, 5, compute).start,
            5,
        )


@pytest.mark.parametrize("ring", [Z64], ids=repr)
def test_every_profile_declares_what_it_does(ring: Ring) -> None:
    for model in MODELS.values():
        assert Capability.SUM in model.capabilities
        assert model.adversary
    assert Capability.VERIFIED in MODELS["malicious"].capabilities
    assert Capability.SHUFFLE not in MODELS["malicious"].capabilities, "it is not verified"
