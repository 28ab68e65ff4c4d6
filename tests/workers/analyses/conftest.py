"""The questions that several tests of the analyses ask."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def by_sex() -> dict[str, Any]:
    """Return the demo's question: survival by sex, 12 bins of 90 days."""
    return {
        "time": "time",
        "event": "event",
        "group": "sex",
        "groups": [{"value": "1", "label": "Male"}, {"value": "2", "label": "Female"}],
        "bin_width": 90,
        "bins": 12,
        "unit": "days",
    }


@pytest.fixture
def by_sex_exact_days(by_sex: dict[str, Any]) -> dict[str, Any]:
    """Return the same question on the exact-day grid of case P01."""
    return {**by_sex, "bin_width": 1, "bins": 1022}
