"""What a reader is told about the noise: variances and intervals against independent figures."""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest

from dp.events import DiscreteLaplace
from dp.mechanisms import (
    interval_half_width,
    probability_within,
    scale,
    shares_needed,
    standard_deviation,
    variance,
)
from tests.dp.randomness import sum_probabilities

COUNT = DiscreteLaplace(Fraction(1, 2), 1)


def test_p24_figures_of_one_discrete_laplace_variable():
    assert variance(COUNT) == pytest.approx(7.835396178065527, rel=1e-14)
    assert probability_within(0, COUNT) == pytest.approx(0.24491866240370913, rel=1e-14)
    assert probability_within(3, COUNT) == pytest.approx(0.8315185802170489, rel=1e-14)


@pytest.mark.parametrize(
    ("epsilon", "sensitivity", "expected"),
    [("2", 1, Fraction(1, 2)), ("0.5", 1, Fraction(2)), ("2", 3, Fraction(3, 2))],
)
def test_the_scale_is_sensitivity_over_epsilon(epsilon, sensitivity, expected):
    assert scale(DiscreteLaplace(Fraction(epsilon), sensitivity)) == expected


@pytest.mark.parametrize(("epsilon", "sensitivity"), [("64.1", 1), ("0.00001", 1)])
def test_a_scale_under_which_nothing_is_hidden_or_nothing_is_left_is_refused(epsilon, sensitivity):
    with pytest.raises(ValueError, match="noise scale"):
        scale(DiscreteLaplace(Fraction(epsilon), sensitivity))


@pytest.mark.parametrize(("parties", "bound", "needed"), [(3, 1, 2), (3, 0, 3), (10, 9, 1)])
def test_as_many_shares_are_needed_as_parties_are_honest(parties, bound, needed):
    assert shares_needed(parties, bound) == needed


@pytest.mark.parametrize(("parties", "bound"), [(3, 3), (3, -1), (0, 0)])
def test_somebody_has_to_be_honest(parties, bound):
    with pytest.raises(ValueError, match="may collude"):
        shares_needed(parties, bound)


@pytest.mark.parametrize(
    ("parties", "bound", "cells"), [(1, 0, 1), (3, 1, 1), (3, 1, 4), (5, 2, 2), (10, 9, 1)]
)
@pytest.mark.parametrize("epsilon", ["0.2", "0.5", "2"])
def test_variance_and_intervals_agree_with_convolved_shares(epsilon, parties, bound, cells):
    """The pmf of all shares of all cells, from the independent table, summed up directly."""
    event = DiscreteLaplace(Fraction(epsilon), 1)
    setting = {"parties": parties, "collusion_bound": bound, "cells": cells}
    pmf = sum_probabilities(scale(event), shares_needed(parties, bound), parties * cells)
    centre = len(pmf) // 2
    values = np.arange(-centre, centre + 1)
    exact = float((pmf * values.astype(float) ** 2).sum())

    assert variance(event, **setting) == pytest.approx(exact, rel=1e-9)
    assert standard_deviation(event, **setting) == pytest.approx(exact**0.5, rel=1e-9)
    for width in range(0, 40, 3):
        within = float(pmf[centre - width : centre + width + 1].sum())
        assert probability_within(width, event, **setting) == pytest.approx(within, abs=1e-12)
    for confidence in (0.5, 0.9, 0.95, 0.99):
        width = interval_half_width(confidence, event, **setting)
        assert pmf[centre - width : centre + width + 1].sum() >= confidence
        if width:
            assert pmf[centre - width + 1 : centre + width].sum() < confidence


@pytest.mark.parametrize("epsilon", ["0.001", "0.1", "0.5", "2", "20"])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_interval_of_one_variable_against_its_closed_form(epsilon, confidence):
    """P(|noise| > w) = 2 a^(w + 1) / (1 + a), with 50 digits."""
    with localcontext() as context:
        context.prec = 50
        ratio = (-Decimal(epsilon)).exp()
        expected = 0
        while 1 - 2 * ratio ** (expected + 1) / (1 + ratio) < Decimal(confidence):
            expected += 1
    assert interval_half_width(confidence, DiscreteLaplace(Fraction(epsilon), 1)) == expected


def test_the_noise_of_three_parties_of_whom_one_may_collude_has_half_again_the_variance():
    assert variance(COUNT, parties=3, collusion_bound=1) == pytest.approx(1.5 * variance(COUNT))
    assert variance(COUNT, cells=7) == pytest.approx(7 * variance(COUNT))


def test_probabilities_at_the_ends():
    assert probability_within(-1, COUNT) == 0
    assert probability_within(10**9, COUNT) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 1.5])
def test_no_interval_is_certain(confidence):
    with pytest.raises(ValueError, match="confidence"):
        interval_half_width(confidence, COUNT)


def test_a_sum_has_cells():
    with pytest.raises(ValueError, match="1 cell or more"):
        variance(COUNT, cells=0)
