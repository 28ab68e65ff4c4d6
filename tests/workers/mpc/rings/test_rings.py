"""Every ring computes what Python's integers compute, at its bounds and at random points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.mpc.errors import LocalProtocolError
from workers.mpc.randomness import Randomness
from workers.mpc.rings.base import Ring
from workers.mpc.rings.matrix import matmul_words
from workers.mpc.rings.mersenne import MERSENNE61, PrimeField, lagrange_at_zero
from workers.mpc.rings.wide import Z128
from workers.mpc.rings.words import BitWords, IntegersModuloPowerOfTwo

INTEGERS = [IntegersModuloPowerOfTwo(bits) for bits in (3, 8, 13, 16, 32, 48, 64)]
FIELDS = [PrimeField(5), PrimeField(7), PrimeField(65521), MERSENNE61]
NUMBERS: list[Ring] = [*INTEGERS, *FIELDS, Z128]
POINTS = 10**5


def modulus(ring: Ring) -> int:
    return ring.highest - ring.lowest + 1


def sample(ring: Ring, count: int, seed: int) -> np.ndarray:
    """Return elements: the bounds first, then random ones."""
    bounds = np.array([0, 1, -1, ring.lowest, ring.highest, ring.highest // 2], dtype=object)
    drawn = ring.random(Randomness(bytes([seed]) * 32), (count - len(bounds),))
    return np.concatenate([ring.encode(bounds), drawn])


def integers(ring: Ring, elements: np.ndarray) -> np.ndarray:
    return ring.decode(elements).astype(object)


def reduced(ring: Ring, values: np.ndarray) -> np.ndarray:
    return (values - ring.lowest) % modulus(ring) + ring.lowest


@pytest.mark.parametrize("ring", NUMBERS, ids=repr)
def test_arithmetic_is_that_of_integers_at_bounds_and_100_000_points(ring: Ring) -> None:
    left, right = sample(ring, POINTS, 1), sample(ring, POINTS, 2)[::-1]
    x, y = integers(ring, left), integers(ring, right)
    assert (integers(ring, ring.add(left, right)) == reduced(ring, x + y)).all()
    assert (integers(ring, ring.subtract(left, right)) == reduced(ring, x - y)).all()
    assert (integers(ring, ring.multiply(left, right)) == reduced(ring, x * y)).all()
    assert (integers(ring, ring.negate(left)) == reduced(ring, -x)).all()
    total = integers(ring, ring.sum(left, 0)[np.newaxis])[0]
    assert total == reduced(ring, x.sum())


@pytest.mark.parametrize("ring", NUMBERS, ids=repr)
@pytest.mark.parametrize(
    ("left_shape", "right_shape"),
    [((7,), (7,)), ((3, 7), (7,)), ((7,), (7, 2)), ((3, 7), (7, 2)), ((40, 600), (600, 30))],
)
def test_matrix_products_are_exact(ring: Ring, left_shape: tuple, right_shape: tuple) -> None:
    left = ring.random(Randomness(bytes([3]) * 32), left_shape)
    right = ring.random(Randomness(bytes([4]) * 32), right_shape)
    exact = reduced(ring, integers(ring, left) @ integers(ring, right))
    product = ring.matmul(left, right)
    assert ring.shape_of(product) == np.shape(exact)
    assert np.array_equal(integers(ring, np.asarray(product)), exact)


@pytest.mark.parametrize("ring", [*NUMBERS, BitWords(1), BitWords(32), BitWords(64)], ids=repr)
def test_every_element_has_one_encoding(ring: Ring) -> None:
    elements = ring.random(Randomness(bytes(32)), (4, 5))
    encoded = ring.to_bytes(elements)
    assert len(encoded) == 20 * ring.element_bytes
    back = ring.from_bytes(encoded, (4, 5))
    assert np.array_equal(back, elements)
    assert not back.flags.writeable
    assert ring.is_canonical(back)
    with pytest.raises(LocalProtocolError, match=r"expected \d+ bytes"):
        ring.from_bytes(encoded, (4, 6))
    with pytest.raises(LocalProtocolError, match="has elements of"):
        ring.to_bytes(np.zeros(3))


def test_a_number_beyond_a_ring_is_not_canonical() -> None:
    for ring in (IntegersModuloPowerOfTwo(3), BitWords(1), MERSENNE61, PrimeField(7)):
        beyond = np.full(2, np.iinfo(ring.dtype).max, dtype=ring.dtype)
        assert not ring.is_canonical(beyond)


@pytest.mark.parametrize("ring", [*INTEGERS, Z128], ids=repr)
def test_shifts_are_those_of_unsigned_integers(ring: Ring) -> None:
    elements = sample(ring, 200, 5)
    unsigned = integers(ring, elements) % modulus(ring)
    bits = modulus(ring).bit_length() - 1
    for shift in {0, 1, bits // 2, bits - 1}:
        right = integers(ring, ring.shift_right(elements, shift)) % modulus(ring)
        left = integers(ring, ring.shift_left(elements, shift)) % modulus(ring)
        assert (right == unsigned >> shift).all()
        assert (left == (unsigned << shift) % modulus(ring)).all()


@pytest.mark.parametrize("field", FIELDS, ids=repr)
def test_inverses(field: PrimeField) -> None:
    elements = sample(field, 500, 6)
    product = field.multiply(elements, field.inverse(elements))
    assert (product == (elements != 0)).all()


@given(st.lists(st.integers(-(10**30), 10**30), min_size=1, max_size=8), st.integers(0, 4))
def test_lagrange_weights_recover_the_constant(coefficients: list[int], extra: int) -> None:
    p = MERSENNE61.modulus
    points = list(range(1, len(coefficients) + extra + 1))
    values = [sum(c * pow(x, i, p) for i, c in enumerate(coefficients)) % p for x in points]
    weights = lagrange_at_zero(MERSENNE61, points)
    assert sum(w * v for w, v in zip(weights, values, strict=True)) % p == coefficients[0] % p


P = MERSENNE61.modulus


@pytest.mark.parametrize(
    "points", [[0, 1], [P, 1], [3 * P, 2], [1, 1], [1, P + 1], [-1, P - 1], [True, 2], [1.0, 2]]
)
def test_points_that_are_zero_or_equal_modulo_the_field_are_refused(points: list) -> None:
    with pytest.raises(LocalProtocolError, match="evaluation point"):
        lagrange_at_zero(MERSENNE61, points)


def test_only_primes_make_fields() -> None:
    for number in (2, 9, 65535, 2**61 - 3):
        with pytest.raises(ValueError, match="neither"):
            PrimeField(number)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
def test_large_products_of_words_go_through_blas_exactly(dtype: type) -> None:
    largest = np.full((70, 1100), np.iinfo(dtype).max, dtype=dtype)
    drawn = Randomness(bytes(32)).words((1100, 64), 8 * np.dtype(dtype).itemsize)
    exact = (largest.astype(object) @ drawn.astype(object)) % 2 ** (8 * np.dtype(dtype).itemsize)
    assert (matmul_words(largest, drawn).astype(object) == exact).all()
    assert matmul_words(largest, drawn).dtype == dtype
