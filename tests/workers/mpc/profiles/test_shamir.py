"""P1, P2, P5: indices, duplicates, lengths, bias; and shares that do not agree."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.mpc.parties import engines, run
from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.profiles import shamir
from workers.mpc.profiles.shamir import Shamir, interpolated, reconstruct
from workers.mpc.protocol import Message, Party, PartyId, Protocol
from workers.mpc.randomness import Randomness
from workers.mpc.ranges import Range
from workers.mpc.rings.mersenne import MERSENNE61, PrimeField

P = MERSENNE61.modulus
VALUES = np.array([3, -4, 10**15])


def shares(n: int, t: int) -> dict[int, np.ndarray]:
    party = Party(PartyId(0), n, Randomness(bytes(32)))
    engine = Shamir(party, [PartyId(i) for i in range(n)], t)
    return dict(enumerate(engine.split(MERSENNE61.encode(VALUES), t), 1))


@given(n=st.integers(3, 9), data=st.data())
def test_any_t_plus_1_shares_determine_the_secret(n: int, data: Any) -> None:
    t = data.draw(st.integers(1, (n - 1) // 2))
    chosen = data.draw(st.sets(st.integers(1, n), min_size=t + 1))
    some = {point: share for point, share in shares(n, t).items() if point in chosen}
    assert MERSENNE61.decode(interpolated(some, t, MERSENNE61)).tolist() == VALUES.tolist()


@pytest.mark.parametrize("point", [0, P, 7 * P, P + 1, -P + 2])
def test_a_point_that_is_zero_or_another_s_modulo_the_field_is_refused(point: int) -> None:
    mine = shares(5, 2)
    mine[point] = mine.pop(3)
    with pytest.raises(LocalProtocolError, match="evaluation point"):
        interpolated(mine, 4, MERSENNE61)


def test_one_altered_share_is_noticed_where_there_is_one_to_spare() -> None:
    for altered in range(1, 6):
        mine = shares(5, 2)
        mine[altered] = MERSENNE61.add(mine[altered], MERSENNE61.encode(1))
        with pytest.raises(RemoteProtocolError, match="do not lie on one polynomial"):
            interpolated(mine, 2, MERSENNE61)
    few = {point: share for point, share in shares(5, 2).items() if point <= 2}
    with pytest.raises(LocalProtocolError, match="3 are needed"):
        interpolated(few, 2, MERSENNE61)


def test_an_altered_share_in_a_session_kills_it() -> None:
    def altered(message: Message) -> bytes:
        content = bytearray(message.content)
        if message.round_index == 1 and message.sender == 2:
            content[0] ^= 1
        return bytes(content)

    def program(engine: Any) -> Protocol[Any]:
        [x] = yield from engine.input_from(
            [PartyId(0)], VALUES if engine.index == 0 else None, (3,), Range.symmetric(10**16)
        )
        return (yield from engine.open(x))

    with pytest.raises(RemoteProtocolError, match="do not lie on one polynomial"):
        run(program, shamir.start, 3, alter=altered)


def test_a_share_that_is_no_field_element_is_refused() -> None:
    def beyond(message: Message) -> bytes:
        return b"\xff" * len(message.content)

    def program(engine: Any) -> Protocol[Any]:
        yield from engine.input_from(
            [PartyId(0)], VALUES if engine.index == 0 else None, (3,), Range.symmetric(10**16)
        )

    with pytest.raises(RemoteProtocolError, match="not an element of"):
        run(program, shamir.start, 3, alter=beyond)


@pytest.mark.parametrize(
    "sealed", [{0: b"", 1: b""}, {0: bytes(8), 1: bytes(16)}, {0: bytes(8), 1: b"\xff" * 8}]
)
def test_output_shares_of_other_lengths_or_encodings_are_refused(sealed: dict) -> None:
    with pytest.raises(RemoteProtocolError, match="sealed"):
        reconstruct(sealed, 1)


@pytest.mark.parametrize(("n", "threshold"), [(3, 0), (3, 2), (4, 2), (5, 3), (10, 5)])
def test_a_threshold_leaves_enough_parties_for_products(n: int, threshold: int) -> None:
    with pytest.raises(LocalProtocolError, match="a threshold is 1 to"):
        engines(lambda party: shamir.start(party, threshold=threshold), n)


def test_coefficients_are_uniform_zero_included() -> None:
    """P2: a dealer that avoids 0 as top coefficient gives secrets away after many re-sharings."""
    field, draws = PrimeField(257), 200_000
    party = Party(PartyId(0), 5, Randomness(b"u" * 32))
    engine = Shamir(party, [PartyId(i) for i in range(5)], 2, field)
    secret = np.full(draws, 100, dtype=np.uint64)
    dealt = engine.split(secret, 2)
    # Three shares determine both coefficients: from f(1), f(2) and f(0).
    first, second = (field.subtract(dealt[i], secret) for i in (0, 1))
    half = pow(2, -1, 257)
    top = field.multiply(field.subtract(second, field.add(first, first)), field.encode(half))
    linear = field.subtract(first, top)
    for coefficient in (top, linear):
        counts = np.bincount(coefficient.astype(np.int64), minlength=257)
        chi_square = ((counts - draws / 257) ** 2 / (draws / 257)).sum()
        assert 170 < chi_square < 360, "256 degrees of freedom"
        assert counts[0] > 0


@pytest.mark.parametrize("n", [3, 5, 10])
def test_masks_are_uniform_to_any_t_contributors(n: int) -> None:
    """The extraction matrix without any t columns is invertible: Vandermonde of distinct points."""
    t = (n - 1) // 2
    powers = [[pow(point, row, P) for point in range(1, n + 1)] for row in range(n - t)]
    for start in range(t + 1):
        columns = [column for column in range(n) if not start <= column < start + t]
        minor = [[row[column] for column in columns] for row in powers]
        assert _determinant(minor) != 0


def _determinant(matrix: list[list[int]]) -> int:
    matrix, result = [row[:] for row in matrix], 1
    for index in range(len(matrix)):
        pivot = next(row for row in range(index, len(matrix)) if matrix[row][index] % P)
        matrix[index], matrix[pivot] = matrix[pivot], matrix[index]
        result = result * matrix[index][index] % P
        inverse = pow(matrix[index][index], -1, P)
        for row in range(index + 1, len(matrix)):
            factor = matrix[row][index] * inverse % P
            matrix[row] = [
                (a - factor * b) % P for a, b in zip(matrix[row], matrix[index], strict=True)
            ]
    return result


def test_what_the_profile_cannot_do_is_refused() -> None:
    def program(work: Any) -> Any:
        def at_party(engine: Any) -> Protocol[Any]:
            [x] = yield from engine.input_from(
                [PartyId(0)], VALUES if engine.index == 0 else None, (3,), Range.symmetric(10**16)
            )
            return (yield from work(engine, x))

        return at_party

    for work in (
        lambda e, x: e.truncate(x, 1),
        lambda e, x: e.multiply(x, x, shift=1),
        lambda e, x: e.bit_to_arithmetic(x),
        lambda e, x: e.shuffle([x]),
    ):
        with pytest.raises(LocalProtocolError, match=r"profile shamir|wrap in"):
            run(program(work), shamir.start, 3)
