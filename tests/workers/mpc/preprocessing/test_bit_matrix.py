"""Matrices of bits against the slow way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.mpc.preprocessing.bit_matrix import (
    bit_planes,
    pack_lowest_bits,
    transpose_in_place,
    unpack_bits,
)
from workers.mpc.randomness import Randomness


def random_words(*shape: int) -> np.ndarray:
    return Randomness(bytes([sum(shape) % 256]) * 32).words(shape)


@pytest.mark.parametrize("width", [1, 3, 16])
def test_transposing_exchanges_rows_and_bits(width):
    rows = random_words(2, 64, width)
    transposed = rows.copy()
    transpose_in_place(transposed)
    positions = np.arange(64, dtype=np.uint64)
    before = rows[:, :, np.newaxis] >> positions[:, np.newaxis] & np.uint64(1)
    after = transposed[:, :, np.newaxis] >> positions[:, np.newaxis] & np.uint64(1)
    assert (after == before.swapaxes(1, 2)).all()


@given(st.lists(st.integers(0, 2**64 - 1), min_size=64, max_size=64))
def test_transposing_twice_changes_nothing(numbers):
    rows = np.array(numbers, dtype=np.uint64).reshape(64, 1)
    twice = rows.copy()
    transpose_in_place(twice)
    transpose_in_place(twice)
    assert (twice == rows).all()


@pytest.mark.parametrize(
    ("dtype", "bits"), [("u8", 64), ("u8", 40), ("u4", 32), ("u1", 8), ("u1", 1)]
)
def test_planes_hold_the_bits_of_the_elements_in_order(dtype, bits):
    elements = random_words(64 * 5).astype(dtype)
    planes = bit_planes(elements, bits)
    assert planes.shape == (bits, 5)
    for position in range(bits):
        assert (
            unpack_bits(planes[position]) == (elements >> elements.dtype.type(position) & 1)
        ).all()


def test_packing_keeps_the_lowest_bits():
    numbers = random_words(64 * 7)
    packed = pack_lowest_bits(numbers)
    assert packed.shape == (7,)
    assert (unpack_bits(packed) == numbers & np.uint64(1)).all()
