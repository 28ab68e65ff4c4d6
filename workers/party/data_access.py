"""A registered data set as plain columns: what `workers.analyses` computes on.

    csv        one file with a header; a column is `number` or `text`, as found at registration
    omop-csv   a folder with person, condition_occurrence and drug_era as [name_]<table>.csv[.gz]

Reading is strict: a cell that does not parse stops it with the file, the row and the column, and
never with the value, for errors end up in journals. Missing is an empty cell, and nothing else.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workers.analyses.site_data import OmopTables, SiteData, Table, one_row_per_person
from workers.party.errors import DataError

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)

_OMOP: Mapping[str, Mapping[str, str]] = {
    "person": {
        "person_id": "integer",
        "gender_concept_id": "integer",
        "year_of_birth": "integer",
        "obs_start": "date",
        "obs_end": "date",
    },
    "condition_occurrence": {
        "person_id": "integer",
        "condition_concept_id": "integer",
        "condition_start_date": "date",
    },
    "drug_era": {
        "person_id": "integer",
        "drug_concept_id": "integer",
        "drug_era_start_date": "date",
    },
}
"""The columns of each OMOP table that analyses read; a table may have more."""


@dataclass(frozen=True)
class Location:
    """Where a data set lies and how it is read; `column_types` is empty for omop-csv."""

    format: str
    path: Path
    column_types: Mapping[str, str]
    person_column: str | None


def examine(*, format_: str, path: Path, person_column: str | None) -> Location:
    """Return how the data at `path` are to be read, having read them once from end to end.

    *Raises* DataError when they cannot be.
    """
    types: dict[str, str] = {}
    if format_ == "csv":
        with _rows(path) as (names, rows):
            numeric = dict.fromkeys(names, True)
            for row in rows:
                for name, cell in zip(names, row, strict=True):
                    numeric[name] = numeric[name] and (not cell or _is_number(cell))
        types = {name: "number" if numeric[name] else "text" for name in names}
        if person_column is not None:
            if person_column not in types:
                raise DataError(
                    f"{path.name} has no column {person_column!r} to tell persons apart"
                )
            types[person_column] = "text"  # long numbers that differ may be one float
    location = Location(format_, path, types, person_column)
    load(location)
    return location


def column_names(location: Location) -> list[str]:
    """Return the names of the columns that a plan may use, for the signed register."""
    if location.format == "csv":
        return sorted(location.column_types)
    return sorted(f"{table}.{name}" for table, columns in _OMOP.items() for name in columns)


def load(location: Location) -> SiteData:
    """Return the data at `location`, one row per person.

    *Security*: of a CSV file without a person column every row is taken for a person. If one has
    several, the noise covers a row and not the person; nothing here can tell.
    *Raises* DataError naming file, row and column, never a value.
    """
    if location.format == "csv":
        table = _read_table(location.path, location.column_types)
        if location.person_column is None:
            return table
        return one_row_per_person(table, location.person_column)
    tables = {name: _read_table(_omop_file(location.path, name), _OMOP[name]) for name in _OMOP}
    person = one_row_per_person(tables["person"], "person_id")
    return OmopTables(person, tables["condition_occurrence"], tables["drug_era"])


def _read_table(path: Path, types: Mapping[str, str]) -> Table:
    with _rows(path) as (names, rows):
        missing = sorted(set(types) - set(names))
        if missing:
            raise DataError(f"{path.name} lacks the columns {', '.join(missing)}")
        wanted = [(names.index(name), name, _READERS[kind]) for name, kind in types.items()]
        columns: dict[str, list[Any]] = {name: [] for name in types}
        for number, row in enumerate(rows, start=2):
            for position, name, read in wanted:
                try:
                    columns[name].append(read(row[position]))
                except ValueError:
                    raise DataError(
                        f"{path.name}, row {number}, column {name}: expected a {types[name]}; "
                        "correct the file and try again"
                    ) from None
    return {name: np.array(columns[name], dtype=_DTYPES[types[name]]) for name in types}


@contextmanager
def _rows(path: Path) -> Iterator[tuple[list[str], Iterator[list[str]]]]:
    """Open a CSV file and give its header and its rows, each as long as the header."""
    try:
        with _open(path) as file:
            reader = csv.reader(file, strict=True)
            names = next(reader, [])
            if not names or len(set(names)) != len(names):
                raise DataError(f"{path.name}: expected a header with different column names")
            yield names, _whole_rows(path, reader, len(names))
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {type(error).__name__}") from None


def _whole_rows(path: Path, reader: Iterator[list[str]], width: int) -> Iterator[list[str]]:
    number = 1
    while True:
        number += 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise DataError(f"{path.name}, row {number}: expected CSV, got a fault") from None
        if len(row) != width:
            raise DataError(f"{path.name}, row {number}: expected {width} cells, got {len(row)}")
        yield row


def _open(path: Path) -> Any:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _omop_file(folder: Path, table: str) -> Path:
    pattern = re.compile(rf"([a-z0-9]+_)?{table}\.csv(\.gz)?")
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of OMOP tables")
    found = sorted(file for file in folder.iterdir() if pattern.fullmatch(file.name))
    if len(found) != 1:
        raise DataError(f"{folder}: expected one file [name_]{table}.csv[.gz], got {len(found)}")
    return found[0]


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))


def _number(cell: str) -> float:
    if not cell:
        return math.nan
    if not _is_number(cell):
        raise ValueError("not a number")
    return float(cell)


def _integer(cell: str) -> int:
    if _INTEGER.fullmatch(cell) is None:
        raise ValueError("not an integer")
    return int(cell)


def _date(cell: str) -> np.datetime64:
    if not cell:
        return np.datetime64("NaT", "D")
    if _DATE.fullmatch(cell) is None:
        raise ValueError("not a date")
    return np.datetime64(cell, "D")


_READERS: Mapping[str, Callable[[str], Any]] = {
    "number": _number,
    "text": str,
    "integer": _integer,
    "date": _date,
}
_DTYPES = {"number": "float64", "text": "str", "integer": "int64", "date": "datetime64[D]"}
