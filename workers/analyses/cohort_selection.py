"""Which of a site's persons belong to a cohort, by the criteria of `studies.cohorts`.

Takes the cohort's JSON as the plan spells it; `workers.party` has parsed it strictly before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workers.analyses.errors import SiteDataError
from workers.analyses.site_data import (
    Column,
    Mask,
    OmopTables,
    SiteData,
    as_numbers,
    column,
    equals_text,
    persons,
    row_count,
)

Cohort: TypeAlias = Mapping[str, Any]

_RECORD_COLUMNS = {
    "condition_occurrence": ("condition_concept_id", "condition_start_date"),
    "drug_era": ("drug_concept_id", "drug_era_start_date"),
}


def select(data: SiteData, cohort: Cohort) -> Mask:
    """Return, for each person of `data`, whether they belong to `cohort`.

    *Shapes* one truth value per row of the person table, in its order.
    *Raises* SiteDataError when a criterion needs what the data do not have.
    """
    chosen = np.ones(row_count(persons(data)), dtype=np.bool_)
    for criterion in cohort["include"]:
        chosen &= _holds(data, criterion)
    for criterion in cohort["exclude"]:
        chosen &= ~_holds(data, criterion)
    return chosen


def _holds(data: SiteData, criterion: Mapping[str, Any]) -> Mask:
    kind = criterion["kind"]
    if kind == "any_record":
        return _has_record(data, criterion)
    if kind == "gender":
        gender = column(persons(data), "gender_concept_id")
        return np.isin(gender, np.asarray(criterion["concepts"]))
    if kind == "column":
        return _within(data, criterion)
    raise SiteDataError(f"expected a criterion any_record, gender or column, got {kind!r}")


def _has_record(data: SiteData, criterion: Mapping[str, Any]) -> Mask:
    """A record counts only if it starts within its person's observation period (as ACHILLES)."""
    if not isinstance(data, OmopTables):
        raise SiteDataError("expected OMOP tables for a criterion any_record, got one plain table")
    domain = criterion["domain"]
    concept_name, start_name = _RECORD_COLUMNS[domain]
    records = data.condition_occurrence if domain == "condition_occurrence" else data.drug_era
    wanted = np.isin(column(records, concept_name), np.asarray(criterion["concepts"]))
    starts = column(records, start_name)[wanted]

    identifiers = column(data.person, "person_id")
    holds = np.zeros(len(identifiers), dtype=np.bool_)
    if not holds.size:
        return holds
    row, known = _rows_of(identifiers, column(records, "person_id")[wanted])
    inside = known & (column(data.person, "obs_start")[row] <= starts)
    inside &= starts <= column(data.person, "obs_end")[row]
    holds[row[inside]] = True
    return holds


def _rows_of(identifiers: Column, wanted: Column) -> tuple[npt.NDArray[np.intp], Mask]:
    """Return the person row of every wanted identifier, and whether it is that person's."""
    order = np.argsort(identifiers, kind="stable")
    position = np.searchsorted(identifiers, wanted, sorter=order)
    row = order[np.minimum(position, len(identifiers) - 1)]
    return row, np.asarray(identifiers[row] == wanted)


def _within(data: SiteData, criterion: Mapping[str, Any]) -> Mask:
    values = column(persons(data), criterion["column"])
    if "equals" in criterion:
        return equals_text(values, criterion["equals"])
    numbers = as_numbers(values)
    holds = ~np.isnan(numbers)
    if "at_least" in criterion:
        holds &= numbers >= criterion["at_least"]
    if "at_most" in criterion:
        holds &= numbers <= criterion["at_most"]
    return holds
