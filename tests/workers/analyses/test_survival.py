"""The formulas of survival analysis, against scipy, against hand-made tables, under noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lifelines.statistics import multivariate_logrank_test
from scipy.stats import chi2

from workers.analyses import survival

CELLS = arrays(np.float64, (2, 3, 7), elements=st.integers(-6, 12).map(float))


@given(noised=CELLS)
def test_a_noised_table_becomes_one_that_people_could_have_made(
    noised: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    counts = survival.monotone(noised[0], noised[1])

    assert (counts.events >= 0).all()
    assert (counts.censored >= 0).all()
    assert (counts.at_risk >= survival.suffix_sums(noised[0] + noised[1])).all()
    for width in (1, 90):
        exposed = counts.exposed(width)
        assert (exposed >= counts.events).all()
        curve = survival.survival(counts.events, exposed)
        assert ((curve >= 0) & (curve <= 1)).all()
        assert (np.diff(curve, axis=-1) <= 0).all()


@given(noised=CELLS)
def test_a_table_without_noise_is_left_as_it_is(
    noised: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
) -> None:
    true = np.abs(noised)
    counts = survival.monotone(true[0], true[1])
    assert np.array_equal(counts.events, true[0])
    assert np.array_equal(counts.censored, true[1])


@given(value=st.floats(0.001, 400), degrees=st.integers(1, 7))
def test_the_tail_of_chi_square_is_that_of_scipy(value: float, degrees: int) -> None:
    assert survival.chi_square_tail(value, degrees) == pytest.approx(
        chi2.sf(value, degrees), rel=1e-9
    )


def test_log_rank_of_four_groups_is_that_of_lifelines() -> None:
    rng = np.random.default_rng(7)
    group = rng.integers(0, 4, 300)
    time = rng.integers(1, 21, 300) + 3 * group
    died = rng.random(300) < 0.7
    table = np.zeros((4, 2, 30))
    np.add.at(table, (group, 1 - died.astype(int), time - 1), 1)
    counts = survival.monotone(table[:, 0], table[:, 1])

    chi_square, degrees = survival.log_rank(counts.events, counts.exposed(1)).chi_square()

    reference = multivariate_logrank_test(time, group, died)
    assert degrees == 3
    assert chi_square == pytest.approx(reference.test_statistic, rel=1e-9)


def test_an_empty_group_takes_no_part_in_the_test() -> None:
    events = np.array([[3.0, 2.0], [1.0, 4.0], [0.0, 0.0]])
    censored = np.array([[1.0, 5.0], [2.0, 1.0], [0.0, 0.0]])
    three = survival.monotone(events, censored)
    two = survival.monotone(events[:2], censored[:2])
    of_three = survival.log_rank(three.events, three.exposed(1)).chi_square()
    assert of_three == pytest.approx(survival.log_rank(two.events, two.exposed(1)).chi_square())


def test_when_all_have_died_the_interval_stays_open_above() -> None:
    events, censored = np.array([[4.0, 6.0, 0.0]]), np.zeros((1, 3))
    counts = survival.monotone(events, censored)
    curve = survival.survival(counts.events, counts.exposed(1))
    error = survival.standard_error(counts.events, counts.exposed(1))

    lower, upper = survival.interval(curve, error)

    assert curve.tolist() == [[0.6, 0.0, 0.0]]
    assert np.isnan(error[0, 1:]).all()
    assert lower[0, 1:].tolist() == [0.0, 0.0]
    assert (upper[0, 1:] == upper[0, 0]).all()


def test_the_median_is_the_first_bin_end_at_a_half_exactly() -> None:
    curve = np.array([[0.7, 0.5 + 1e-12, 0.2], [0.9, 0.8, 0.6]])
    medians = survival.first_at_or_below_half(curve, 30)
    assert medians[0] == 60
    assert np.isnan(medians[1])
