"""What a local step is handed: a site's data as plain numpy columns.

Two shapes, both with **one row per person** in the table that is counted, which is what makes the
sensitivity of every count 1. Whoever loads the data makes sure of it with `one_row_per_person`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from workers.analyses.errors import SiteDataError

Column: TypeAlias = npt.NDArray[Any]
Table: TypeAlias = Mapping[str, Column]
"""Columns of equal length; numbers, or text as read from a file (empty text is missing)."""
Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, repr=False)
class OmopTables:
    """OMOP CDM tables as columns; dates are ``datetime64[D]``.

    `person` has person_id, gender_concept_id, year_of_birth, and the person's observation period
    as obs_start and obs_end; `condition_occurrence` has person_id, condition_concept_id,
    condition_start_date; `drug_era` has person_id, drug_concept_id, drug_era_start_date.
    """

    person: Table
    condition_occurrence: Table
    drug_era: Table


SiteData: TypeAlias = Table | OmopTables


def persons(data: SiteData) -> Table:
    """Return the table that has one row per person."""
    return data.person if isinstance(data, OmopTables) else data


def column(table: Table, name: str) -> Column:
    """Return the column `name`. *Raises* SiteDataError when the table has none."""
    if name not in table:
        raise SiteDataError(
            f"expected a column {name!r}, got {sorted(table)}; "
            "correct the plan or the site's data set register"
        )
    return np.asarray(table[name])


def row_count(table: Table) -> int:
    """Return how many rows `table` has. *Raises* SiteDataError when its columns disagree."""
    lengths = {len(values) for values in table.values()}
    if len(lengths) != 1:
        raise SiteDataError("expected columns of one length, got none or different ones")
    return lengths.pop()


def as_numbers(values: Column) -> npt.NDArray[np.float64]:
    """Return `values` as numbers; what is missing or not a number becomes NaN."""
    if values.dtype.kind in "iufb":
        return values.astype(np.float64)
    return np.array([_number(value) for value in values], dtype=np.float64)


def equals_text(values: Column, text: str) -> Mask:
    """Return where `values` equal `text`, as text or as the number it spells ("1" equals 1.0)."""
    number = _number(text)
    if values.dtype.kind in "iufb":
        return np.asarray(as_numbers(values) == number)
    same = np.array([str(value).strip() == text for value in values], dtype=np.bool_)
    return same if math.isnan(number) else same | (as_numbers(values) == number)


def one_row_per_person(table: Table, person_column: str) -> Table:
    """Return `table` with only the first row of every person, so that each counts once."""
    _, first = np.unique(column(table, person_column), return_index=True)
    kept = np.sort(first)
    return {name: np.asarray(values)[kept] for name, values in table.items()}


def pool(sites: Sequence[SiteData]) -> SiteData:
    """Return all sites' data as one; for the plaintext twin in rehearsal and tests only."""
    first = sites[0]
    if isinstance(first, OmopTables):
        omop = [site for site in sites if isinstance(site, OmopTables)]
        return OmopTables(
            person=_concatenate([site.person for site in omop]),
            condition_occurrence=_concatenate([site.condition_occurrence for site in omop]),
            drug_era=_concatenate([site.drug_era for site in omop]),
        )
    return _concatenate([site for site in sites if not isinstance(site, OmopTables)])


def _concatenate(tables: Sequence[Table]) -> Table:
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
