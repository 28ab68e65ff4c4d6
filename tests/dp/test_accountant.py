"""The accountant never charges less than was spent and never lets a cap be passed."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp.accountant import (
    MICRO,
    BudgetExceededError,
    can_spend,
    check_can_spend,
    micro_budget,
    micro_epsilon,
    spend,
)
from dp.events import Composed, DiscreteLaplace, epsilon_from_decimal

epsilons = st.fractions(Fraction(1, 10**9), Fraction(10))
events = st.builds(DiscreteLaplace, epsilons, st.integers(1, 100))


def release(epsilon: str) -> DiscreteLaplace:
    return DiscreteLaplace(epsilon_from_decimal(epsilon), 1)


@pytest.mark.parametrize(
    ("epsilon", "cost"),
    [("0.5", 500_000), ("2", 2_000_000), ("0.000001", 1), ("0.0000001", 1), ("0.1000001", 100_001)],
)
def test_a_cost_is_rounded_up_to_a_whole_micro_epsilon(epsilon, cost):
    assert micro_epsilon(release(epsilon)) == cost


@given(events)
def test_a_cost_is_never_below_epsilon_and_less_than_one_micro_above(event):
    assert 0 <= Fraction(micro_epsilon(event), MICRO) - event.epsilon < Fraction(1, MICRO)


@given(epsilons)
def test_a_budget_is_never_above_what_was_granted(granted):
    assert 0 <= granted - Fraction(micro_budget(granted), MICRO) < Fraction(1, MICRO)


@given(st.lists(events, max_size=8), st.integers(0, 8))
def test_composition_adds_however_it_is_grouped(parts, cut):
    whole = Composed(tuple(parts))
    grouped = Composed((Composed(tuple(parts[:cut])), *parts[cut:]))
    assert micro_epsilon(whole) == micro_epsilon(grouped) == sum(map(micro_epsilon, parts))


def test_ten_tenths_are_exactly_one():
    assert micro_epsilon(Composed((release("0.1"),) * 10)) == MICRO


def test_p24_a_budget_of_2_answers_four_queries_at_one_half():
    cap, spent, answers = micro_budget(Fraction(2)), 0, 0
    while can_spend(cap, spent, release("0.5")):
        spent = spend(cap, spent, release("0.5"))
        answers += 1
    assert answers == 4
    assert spent == cap
    with pytest.raises(BudgetExceededError, match="costs 500000 micro-epsilon, and 0 of 2000000"):
        spend(cap, spent, release("0.5"))


@given(st.integers(0, 10**7), st.lists(events, max_size=20))
def test_no_sequence_passes_the_cap_and_refusing_is_deciding(cap, asked):
    spent = 0
    for event in asked:
        if can_spend(cap, spent, event):
            check_can_spend(cap, spent, event)
            spent = spend(cap, spent, event)
        else:
            with pytest.raises(BudgetExceededError):
                check_can_spend(cap, spent, event)
            assert spent + micro_epsilon(event) > cap
    assert spent <= cap


def test_a_cap_lowered_below_what_is_spent_leaves_nothing():
    with pytest.raises(BudgetExceededError, match="0 of 1 are left"):
        check_can_spend(1, 5, release("0.5"))


@pytest.mark.parametrize(("cap", "spent"), [(-1, 0), (10, -1), (2.0, 0), (2, 0.5)])
def test_amounts_are_whole_micro_epsilon(cap, spent):
    with pytest.raises(ValueError, match="whole number of micro-epsilon"):
        check_can_spend(cap, spent, release("0.5"))


def test_a_budget_is_not_negative():
    with pytest.raises(ValueError, match="not negative"):
        micro_budget(Fraction(-1))
