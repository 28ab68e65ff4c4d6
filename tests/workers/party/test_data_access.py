"""Reading data sets: strict, one row per person, and never a value in an error."""

from __future__ import annotations

import gzip
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.factories.evidence import NOW
from workers.analyses.site_data import OmopTables
from workers.party import data_access, data_sets
from workers.party.data_access import Location
from workers.party.errors import DataError, HomeError
from workers.party.home import SiteHome

GIBLEED = Path(__file__).parents[3] / "demo" / "data" / "alder"
SECRET = "31.7mg"


def write(folder: Path, text: str) -> Path:
    path = folder / "records.csv"
    path.write_text(text)
    return path


def test_types_are_found_once_and_held_to_afterwards(tmp_path: Path) -> None:
    path = write(tmp_path, "pid,dose,arm\n1,2.5,a\n2,,b\n2,9,c\n")
    location = data_access.examine(format_="csv", path=path, person_column="pid")
    assert location.column_types == {"pid": "text", "dose": "number", "arm": "text"}
    table = data_access.load(location)
    assert isinstance(table, dict)
    np.testing.assert_array_equal(table["dose"], [2.5, np.nan])
    assert list(table["arm"]) == ["a", "b"], "a person's second row does not count"

    write(tmp_path, f"pid,dose,arm\n1,2.5,a\n2,{SECRET},b\n")
    with pytest.raises(DataError, match=r"records.csv, row 3, column dose: expected a number") as e:
        data_access.load(location)
    assert SECRET not in str(e.value)


def test_persons_with_long_numbers_for_names_stay_apart(tmp_path: Path) -> None:
    """As floating-point numbers these two were one person, and one more could replace a row."""
    path = write(tmp_path, "pid,dose\n9007199254740992,1\n9007199254740993,2\n")
    table = data_access.load(data_access.examine(format_="csv", path=path, person_column="pid"))
    assert isinstance(table, dict)
    assert list(table["dose"]) == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header"),
        ("a,a\n1,2\n", "expected a header with different"),
        ("a,b\n1,2\n3\n", "row 3: expected 2 cells, got 1"),
        ('a,b\n1,"2\n', "row 2: expected CSV"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data_access.examine(format_="csv", path=write(tmp_path, text), person_column=None)


@pytest.mark.parametrize("word", ["nan", "inf", "1e999", "0x10", "1_000", " 1", "١"])
def test_what_only_python_calls_a_number_is_text(tmp_path: Path, word: str) -> None:
    location = data_access.examine(
        format_="csv", path=write(tmp_path, f"x\n{word}\n"), person_column=None
    )
    assert location.column_types == {"x": "text"}


def test_omop_tables_are_read_as_numbers_and_days() -> None:
    data = data_access.load(Location("omop-csv", GIBLEED, {}, None))
    assert isinstance(data, OmopTables)
    assert data.person["obs_start"].dtype == np.dtype("datetime64[D]")
    assert data.person["person_id"].dtype == np.int64
    assert len(np.unique(data.person["person_id"])) == len(data.person["person_id"])


def test_a_broken_omop_cell_names_its_place_only(tmp_path: Path) -> None:
    for name in ("person", "condition_occurrence", "drug_era"):
        copied = gzip.decompress((GIBLEED / f"gibleed_{name}.csv.gz").read_bytes()).decode()
        lines = copied.splitlines()
        if name == "drug_era":
            lines[5] = lines[5].replace(",", f",{SECRET}", 1)
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"drug_era.csv, row 6, column drug_concept_id") as error:
        data_access.load(Location("omop-csv", tmp_path, {}, None))
    assert SECRET not in str(error.value)


def test_a_data_set_cannot_be_registered_twice(home: SiteHome, tmp_path: Path) -> None:
    """A second registration would be a second budget, or a confidential set made public."""
    again = data_sets.Registration("lung", "public", "csv", write(tmp_path, "a\n1\n"), Fraction(99))
    with pytest.raises(HomeError, match="does not change"):
        data_sets.register(home, again, now=NOW)
    found = data_sets.registered(home, "lung")
    assert found is not None
    assert (found["kind"], found["budget_micro_epsilon"]) == ("confidential", 10_000_000)


def test_the_same_file_gets_no_second_budget_under_another_name(home: SiteHome) -> None:
    path = data_sets.locate(home, "lung").path
    again = data_sets.Registration("lung-2", "public", "csv", path, Fraction(99), "pid")
    with pytest.raises(HomeError, match="registered already, as 'lung'"):
        data_sets.register(home, again, now=NOW)
    assert data_sets.registered(home, "lung-2") is None


def test_a_table_needs_something_that_tells_persons_apart(home: SiteHome, tmp_path: Path) -> None:
    """The noise protects a person; a row is one only if somebody says so."""
    path = write(tmp_path, "x\n1\n2\n")
    unsaid = data_sets.Registration("visits", "public", "csv", path, Fraction(1))
    with pytest.raises(HomeError, match="--person-column"):
        data_sets.register(home, unsaid, now=NOW)
    attested = replace(unsaid, rows_are_persons=True)
    data_sets.register(home, attested, now=NOW)
    assert data_sets.registered(home, "visits") is not None
