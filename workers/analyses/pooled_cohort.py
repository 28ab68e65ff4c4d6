"""The plaintext twins' way to select a cohort: pandas joins on pooled data.

Deliberately written apart from `cohort_selection`, so that the two can disagree. Rehearsal and
tests only: no site ever pools.
"""

from __future__ import annotations

from typing import Any

from workers.analyses.cohort_selection import Cohort
from workers.analyses.site_data import OmopTables, SiteData, persons


def cohort_frame(data: SiteData, cohort: Cohort) -> Any:
    """Return the cohort's persons as a pandas data frame, one row each."""
    import pandas as pd

    frame = pd.DataFrame(dict(persons(data)))
    kept = frame.index
    for criterion in cohort["include"]:
        kept = kept.intersection(_matching(data, frame, criterion))
    for criterion in cohort["exclude"]:
        kept = kept.difference(_matching(data, frame, criterion))
    return frame.loc[kept]


def _matching(data: SiteData, frame: Any, criterion: Any) -> Any:
    if criterion["kind"] == "any_record":
        return _with_record(data, frame, criterion)
    if criterion["kind"] == "gender":
        return frame.index[frame["gender_concept_id"].isin(criterion["concepts"])]
    import pandas as pd

    values = frame[criterion["column"]]
    numbers = pd.to_numeric(values, errors="coerce")
    if "equals" in criterion:
        wanted = pd.to_numeric(criterion["equals"], errors="coerce")
        same = values.astype(str).str.strip() == criterion["equals"]
        return frame.index[same | (numbers == wanted)]
    lowest = criterion.get("at_least", float("-inf"))
    highest = criterion.get("at_most", float("inf"))
    return frame.index[numbers.between(lowest, highest)]


def _with_record(data: SiteData, frame: Any, criterion: Any) -> Any:
    import pandas as pd

    assert isinstance(data, OmopTables)
    domain = criterion["domain"]
    prefix = domain.split("_")[0]
    start = f"{prefix}_start_date" if prefix == "condition" else "drug_era_start_date"
    records = pd.DataFrame(dict(getattr(data, domain)))
    records = records[records[f"{prefix}_concept_id"].isin(criterion["concepts"])]
    joined = records.merge(frame, on="person_id").query(f"obs_start <= {start} <= obs_end")
    return frame.index[frame["person_id"].isin(joined["person_id"])]
