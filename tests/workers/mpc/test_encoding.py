"""The wire form of ring vectors: one encoding for each vector, nothing else accepted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.mpc.encoding import from_bytes, to_bytes
from workers.mpc.errors import LocalProtocolError

elements = st.lists(st.integers(0, 2**64 - 1), max_size=40)


def test_the_example_of_the_docstring():
    encoded = to_bytes(np.array([1, 2**64 - 1], dtype=np.uint64))
    assert encoded.hex() == "0100000000000000" + "ffffffffffffffff"


@given(elements)
def test_decoding_undoes_encoding(values):
    encoded = to_bytes(np.array(values, dtype=np.uint64))
    assert len(encoded) == 8 * len(values)
    decoded = from_bytes(encoded, len(values))
    assert decoded.dtype == np.uint64
    assert decoded.tolist() == values


@given(st.binary(max_size=100), st.integers(0, 12))
def test_any_bytes_are_one_vector_or_a_local_error(encoded, size):
    if len(encoded) == 8 * size:
        assert to_bytes(from_bytes(encoded, size)) == encoded
    else:
        with pytest.raises(LocalProtocolError, match=f"expected {8 * size} bytes"):
            from_bytes(encoded, size)


@pytest.mark.parametrize("vector", [np.array([1]), np.array([[1]], dtype=np.uint64)])
def test_only_ring_vectors_are_encoded(vector):
    with pytest.raises(LocalProtocolError):
        to_bytes(vector)
