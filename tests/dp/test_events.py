"""Events are exact: epsilon is read from a strict decimal and never becomes a float."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dp.events import DiscreteLaplace, epsilon_from_decimal


@pytest.mark.parametrize(
    ("text", "epsilon"),
    [
        ("2", Fraction(2)),
        ("0.5", Fraction(1, 2)),
        ("0.1", Fraction(1, 10)),
        ("1.50", Fraction(3, 2)),
    ],
)
def test_a_plans_decimal_is_read_exactly(text, epsilon):
    assert epsilon_from_decimal(text) == epsilon


@pytest.mark.parametrize(
    "text", ["", "0", "0.0", "-1", "+1", "1e3", "1/2", ".5", "1.", "01", " 1", "1\n", "inf", "٢"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="positive decimal"):
        epsilon_from_decimal(text)


@given(st.text(alphabet="0123456789.+-eE /_٢", max_size=12))
def test_any_text_is_a_positive_fraction_or_a_value_error(text):
    try:
        epsilon = epsilon_from_decimal(text)
    except ValueError:
        return
    assert epsilon > 0


@pytest.mark.parametrize(
    ("epsilon", "sensitivity"),
    [(0.5, 1), (Fraction(0), 1), (Fraction(-1), 1), (Fraction(1), 0), (Fraction(1), 1.0)],
)
def test_an_event_is_exact_and_positive(epsilon, sensitivity):
    with pytest.raises(ValueError, match=r"epsilon|sensitivity"):
        DiscreteLaplace(epsilon, sensitivity)
