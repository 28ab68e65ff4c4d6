"""A black-box privacy audit: what an attacker with ten million releases could prove.

The attacker sees noised counts of two neighbouring data sets and bounds epsilon from below, with
Clopper-Pearson intervals at confidence 1 - 10^-4 on held-out draws [DP-Sniper's idea]. A release
that keeps its promise is never shown to exceed it, and a twofold error of sensitivity is.
"""

import math
import os
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import beta

from dp.events import DiscreteLaplace
from dp.mechanisms import scale, shares_needed
from dp.noise import noise_share
from tests.dp.randomness import chi_squared, discrete_laplace

pytestmark = pytest.mark.soak

DRAWS = 10_000_000
PARTIES, COLLUDING = 3, 1
CONFIDENCE = 1e-4
PLAUSIBLE = 5.0


def honest_noise(noise_scale: Fraction) -> np.ndarray:
    """Return the sum of the shares that remain when the colluding party subtracts its own."""
    shares = shares_needed(PARTIES, COLLUDING)
    vectors = (
        noise_share(DRAWS, scale=noise_scale, shares=shares, random_bytes=os.urandom)
        for _ in range(shares)
    )
    return sum(vectors, np.zeros(DRAWS, dtype=np.int64))


def epsilon_lower_bound(without: np.ndarray, with_one_more: np.ndarray) -> float:
    """Return the largest epsilon that held-out draws prove, for the best threshold attack."""
    half = DRAWS // 2
    threshold = max(
        range(-10, 11), key=lambda at: _proved(without[:half], with_one_more[:half], at)
    )
    return _proved(without[half:], with_one_more[half:], threshold)


def _proved(without: np.ndarray, with_one_more: np.ndarray, threshold: int) -> float:
    """Return what guessing "one more" from a count of at least `threshold` proves."""
    draws = len(without)
    hits = int((with_one_more >= threshold).sum())
    false = int((without >= threshold).sum())
    if hits == 0 or false == draws:
        return 0.0
    lowest_hit_rate = beta.ppf(CONFIDENCE / 2, hits, draws - hits + 1)
    highest_false_rate = beta.ppf(1 - CONFIDENCE / 2, false + 1, draws - false)
    return float(math.log(lowest_hit_rate / highest_false_rate))


@pytest.mark.parametrize("epsilon", ["0.5", "1", "2"])
def test_no_attacker_proves_more_than_the_stated_epsilon(epsilon: str) -> None:
    claimed = Fraction(epsilon)
    noise_scale = scale(DiscreteLaplace(epsilon=claimed, sensitivity=1))
    proved = epsilon_lower_bound(honest_noise(noise_scale), honest_noise(noise_scale) + 1)
    print(f"\nclaimed {epsilon}, proved {proved:.3f}")
    assert proved <= float(claimed)
    assert proved > 0.9 * float(claimed), "the attack is too weak to show anything"


def test_the_audit_catches_a_twofold_error_of_sensitivity() -> None:
    noise_scale = scale(DiscreteLaplace(epsilon=Fraction(1), sensitivity=1))
    proved = epsilon_lower_bound(honest_noise(noise_scale), honest_noise(noise_scale) + 2)
    print(f"\nclaimed 1 with sensitivity 1, one person moves the count by 2: proved {proved:.3f}")
    assert proved > 1.5


def test_ten_million_sums_of_shares_are_discrete_laplace() -> None:
    noise_scale = Fraction(3, 2)
    assert chi_squared(honest_noise(noise_scale), discrete_laplace(noise_scale, 60)) < PLAUSIBLE
