"""The plaintext twin of ``kaplan-meier/1``: the same question on pooled data, by lifelines.

Rehearsal and tests only. On a wide grid the life-table estimate is what lifelines computes when
each person censored in a bin enters twice with half a weight: once before the bin's events, once
after them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from workers.analyses.cohort_selection import Cohort
from workers.analyses.pooled_cohort import cohort_frame
from workers.analyses.site_data import SiteData


def twin(data: SiteData, cohort: Cohort, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return table, persons, events, survival, standard error, median and log-rank.

    `table` is laid out as the local step's; `survival` and `standard_error` are by group and bin.
    """
    frame = _on_grid(cohort_frame(data, cohort), parameters)
    curves = [_curve(frame[frame["arm"] == arm], parameters) for arm in range(_arms(parameters))]
    return {
        "table": _table(frame, parameters),
        "persons": [int((frame["arm"] == arm).sum()) for arm in range(_arms(parameters))],
        "events": [
            int(frame[frame["arm"] == arm]["died"].sum()) for arm in range(_arms(parameters))
        ],
        "survival": [curve["survival"] for curve in curves],
        "standard_error": [curve["standard_error"] for curve in curves],
        "median": [curve["median"] for curve in curves],
        **_log_rank(frame, parameters),
    }


def _arms(parameters: Mapping[str, Any]) -> int:
    return len(parameters["groups"])


def _on_grid(frame: Any, parameters: Mapping[str, Any]) -> Any:
    """Return arm, died and bin end of each person who counts."""
    import pandas as pd

    width, last = parameters["bin_width"], parameters["bin_width"] * parameters["bins"]
    names = [group["value"] for group in parameters["groups"]]
    texts = frame[parameters["group"]].map(_spelt)
    placed = pd.DataFrame(
        {
            "arm": texts.map({_spelt(name): index for index, name in enumerate(names)}),
            "time": pd.to_numeric(frame[parameters["time"]], errors="coerce"),
            "died": pd.to_numeric(frame[parameters["event"]], errors="coerce"),
        }
    ).dropna()
    placed = placed[(placed["time"] >= 0) & placed["died"].isin([0, 1])]
    placed["died"] = (placed["died"] == 1) & (placed["time"] <= last)
    placed["end"] = (-(-placed["time"].clip(lower=1e-9) // width) * width).clip(upper=last)
    return placed


def _spelt(value: Any) -> str:
    """Return one spelling for one value: 1, 1.0 and "1" are the same group."""
    try:
        return repr(float(value))
    except ValueError:
        return str(value).strip()


def _table(frame: Any, parameters: Mapping[str, Any]) -> list[int]:
    ends = [(j + 1) * parameters["bin_width"] for j in range(parameters["bins"])]
    cells: list[int] = []
    for arm in range(_arms(parameters)):
        for died in (True, False):
            part = frame[(frame["arm"] == arm) & (frame["died"] == died)]
            cells += part.groupby("end").size().reindex(ends, fill_value=0).astype(int).tolist()
    return cells


def _weighted(frame: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the rows that lifelines is given, with weights that sum to persons: see the module."""
    import pandas as pd

    if parameters["bin_width"] == 1:
        return frame.assign(weight=1.0).reset_index(drop=True)
    censored = frame[~frame["died"]]
    earlier = censored.assign(end=censored["end"] - parameters["bin_width"] / 2)
    return pd.concat(
        [
            frame[frame["died"]].assign(weight=1.0),
            censored.assign(weight=0.5),
            earlier.assign(weight=0.5),
        ],
        ignore_index=True,  # lifelines looks weights up by label
    )


def _curve(frame: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    import numpy as np
    from lifelines import KaplanMeierFitter

    rows = _weighted(frame, parameters)
    ends = [(j + 1) * parameters["bin_width"] for j in range(parameters["bins"])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifelines warns of weights that are not whole
        # Greenwood's sum in lifelines cuts numbers at risk to whole ones: count half persons,
        # of whom there are twice as many, and undo the halving of the variance.
        fitted = KaplanMeierFitter().fit(rows["end"], rows["died"], weights=2 * rows["weight"])
    curve = fitted.survival_function_at_times(ends).to_numpy()
    spread = 2 * fitted._cumulative_sq_.reindex(ends, method="ffill").fillna(0.0).to_numpy()
    median = float(fitted.median_survival_time_)
    return {
        "survival": curve.tolist(),
        "standard_error": (curve * np.sqrt(spread)).tolist(),
        "median": median if np.isfinite(median) else None,
    }


def _log_rank(frame: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    from lifelines.statistics import multivariate_logrank_test

    rows = _weighted(frame, parameters)
    if rows["arm"].nunique() < 2:
        return {"chi_square": None, "p": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = multivariate_logrank_test(rows["end"], rows["arm"], rows["died"], rows["weight"])
    return {"chi_square": float(test.test_statistic), "p": float(test.p_value)}
