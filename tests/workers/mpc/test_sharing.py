"""Additive shares: all give the secret back, all but one give nothing."""

import pickle
from collections import Counter
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.mpc.errors import LocalProtocolError
from workers.mpc.randomness import Randomness
from workers.mpc.sharing import Share, reconstruct, split

ring_elements = st.integers(0, 2**64 - 1)


def vector(*values):
    return np.array(values, dtype=np.uint64)


class Scripted:
    """Randomness that a test enumerates."""

    def __init__(self, draws):
        self.draws = list(draws)

    def ring_vector(self, size):
        drawn, self.draws = self.draws[:size], self.draws[size:]
        return vector(*drawn)


@given(
    st.lists(ring_elements, min_size=1, max_size=30),
    st.integers(2, 10),
    st.binary(min_size=32, max_size=32),
)
def test_reconstructing_undoes_splitting(values, n, seed):
    shares = split(vector(*values), n, Randomness(seed))
    assert len(shares) == n
    assert reconstruct(shares).tolist() == values
    assert reconstruct(shares[::-1]).tolist() == values


@given(st.lists(st.tuples(ring_elements, ring_elements), min_size=1), st.integers(2, 5))
def test_adding_shares_adds_secrets(pairs, n):
    left, right = (vector(*side) for side in zip(*pairs, strict=True))
    randomness = Randomness(bytes(32))
    both = zip(split(left, n, randomness), split(right, n, randomness), strict=True)
    total = reconstruct([one + other for one, other in both])
    assert total.tolist() == [(a + b) % 2**64 for a, b in pairs]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_any_n_minus_1_shares_have_one_distribution_whatever_the_secret(n):
    """Exhaustive, with the product's own arithmetic: statistical distance exactly 0.

    The multiples of 2^62 are closed under addition, so they are a ring Z/4 inside Z/2^64; all
    secrets and all randomness are enumerated in it.
    """
    small_ring = [multiple << 62 for multiple in range(4)]
    for seen in combinations(range(n), n - 1):
        distributions = []
        for secret in small_ring:
            views = Counter()
            for draws in product(small_ring, repeat=n - 1):
                shares = split(vector(secret), n, Scripted(draws))
                views[tuple(int(shares[i].elements[0]) for i in seen)] += 1
            distributions.append(views)
        assert all(views == distributions[0] for views in distributions)
        assert set(distributions[0].values()) == {1}  # and it is the uniform one
        assert len(distributions[0]) == 4 ** (n - 1)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("secret", [0, 1, 2**64 - 1])
def test_any_n_minus_1_shares_look_uniform(n, secret):
    """Chi-squared on the joint leading and lowest bits, 40,000 sharings, fixed seed."""
    draws = 40_000
    shares = split(np.full(draws, secret, dtype=np.uint64), n, Randomness(b"s" * 32))
    for seen in combinations(range(n), n - 1):
        cell = np.zeros(draws, dtype=np.uint64)
        for index in seen:
            elements = shares[index].elements
            cell = cell * 4 + (elements >> 63) * 2 + (elements & 1)
        cells = 4 ** (n - 1)
        counts = np.bincount(cell.astype(np.int64), minlength=cells)
        expected = draws / cells
        chi_squared = float(((counts - expected) ** 2 / expected).sum())
        # 5 standard deviations above the mean of chi-squared with cells - 1 degrees of freedom
        assert chi_squared < cells - 1 + 5 * (2 * (cells - 1)) ** 0.5


def test_a_secret_needs_two_shares_of_one_size():
    with pytest.raises(LocalProtocolError, match="2 shares or more"):
        split(vector(1), 1, Randomness(bytes(32)))
    with pytest.raises(LocalProtocolError, match="2 shares or more"):
        reconstruct([Share(vector(1))])
    with pytest.raises(LocalProtocolError, match=r"sizes \[1, 2\]"):
        reconstruct([Share(vector(1)), Share(vector(1, 2))])
    with pytest.raises(LocalProtocolError, match=r"sizes \[1, 2\]"):
        Share(vector(1)) + Share(vector(1, 2))


@pytest.mark.parametrize("array", [np.array([1]), np.array([], np.uint64), np.ones((1, 1))])
def test_only_ring_vectors_are_shares(array):
    with pytest.raises(LocalProtocolError):
        Share(array)


def test_a_share_resists_misuse():
    share = Share(vector(4242))
    assert "4242" not in repr(share) + str(share) + f"{share}"
    for misuse in (
        lambda: bool(share),
        lambda: share == share,
        lambda: share != Share(vector(4242)),
        lambda: share in [Share(vector(1))],
        lambda: hash(share),
        lambda: np.asarray(share),
        lambda: pickle.dumps(share),
        lambda: share + 1,
    ):
        with pytest.raises(TypeError):
            misuse()
    with pytest.raises(ValueError, match="read-only"):
        share.elements[0] = 1
