"""Numbers in the ring: nothing outside its declared range, nothing that could wrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.mpc.errors import LocalProtocolError
from workers.mpc.ring import HIGHEST, LOWEST, Range, check_sum_fits, decode, encode

signed = st.integers(LOWEST, HIGHEST)
ranges = st.tuples(signed, signed).map(lambda pair: Range(min(pair), max(pair)))


@given(st.lists(signed, min_size=1, max_size=50))
def test_decoding_undoes_encoding(values):
    vector = np.array(values, dtype=np.int64)
    elements = encode(vector, Range(min(values), max(values)))
    assert elements.dtype == np.uint64
    assert [int(element) for element in elements] == [value % 2**64 for value in values]
    assert decode(elements).tolist() == values


@pytest.mark.parametrize("outsider", [-1, 11, LOWEST, HIGHEST])
def test_a_value_outside_its_range_is_refused_without_being_named(outsider):
    vector = np.array([3, outsider, 7], dtype=np.int64)
    with pytest.raises(LocalProtocolError, match=r"declared range 0 \.\. 10") as caught:
        encode(vector, Range(0, 10))
    told = str(caught.value).replace("0 .. 10", "").replace("64", "")
    assert not any(character.isdigit() for character in told)


@pytest.mark.parametrize(
    "vector",
    [
        np.array([1.0]),
        np.array([1], dtype=np.int32),
        np.array([1], dtype=np.uint64),
        np.array([True]),
        np.array([], dtype=np.int64),
        np.array([[1]], dtype=np.int64),
        np.array(1, dtype=np.int64),
    ],
    ids=["float", "int32", "uint64", "bool", "empty", "matrix", "scalar"],
)
def test_only_vectors_of_int64_enter(vector):
    with pytest.raises(LocalProtocolError, match="vector of int64"):
        encode(vector, Range(0, 10))


@pytest.mark.parametrize(("low", "high"), [(1, 0), (LOWEST - 1, 0), (0, HIGHEST + 1)])
def test_a_range_is_neither_empty_nor_wider_than_the_ring(low, high):
    with pytest.raises(LocalProtocolError):
        Range(low, high)


@given(st.lists(ranges, min_size=1, max_size=12))
def test_a_sum_is_refused_exactly_when_it_could_wrap(summands):
    low, high = sum(r.low for r in summands), sum(r.high for r in summands)
    if low >= LOWEST and high <= HIGHEST:
        assert check_sum_fits(*summands) == Range(low, high)
    else:
        with pytest.raises(LocalProtocolError, match="wrap"):
            check_sum_fits(*summands)


def test_the_last_sum_that_fits_and_the_first_that_does_not():
    half = Range(LOWEST // 2, HIGHEST // 2)
    assert check_sum_fits(half, half).low == LOWEST
    with pytest.raises(LocalProtocolError, match="wrap"):
        check_sum_fits(half, half, Range(0, 2))
