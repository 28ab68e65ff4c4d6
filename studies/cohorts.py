"""Cohort definitions: who is counted, as strict JSON and as frozen values.

The wire format, with an example (persons with a gastrointestinal hemorrhage, women only, without
rheumatoid arthritis)::

    {"include": [{"kind": "any_record", "domain": "condition_occurrence", "concepts": [192671]},
                 {"kind": "gender", "concepts": [8532]}],
     "exclude": [{"kind": "any_record", "domain": "condition_occurrence", "concepts": [80809]}]}

A person belongs to the cohort when every criterion of `include` holds and none of `exclude` does;
with no criteria at all, everyone does. A record counts only if it starts within the person's
observation period.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jsonschema

from studies.documents import COLUMN

Domain: TypeAlias = Literal["condition_occurrence", "drug_era"]

GENDER_COLUMN = "gender_concept_id"
"""The column of persons that a criterion of kind gender reads, in a plain table too."""

_CONCEPTS = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "minItems": 1,
    "maxItems": 10_000,
    "uniqueItems": True,
}
_BOUND = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_CRITERION = {
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "kind": {"const": "any_record"},
                "domain": {"enum": ["condition_occurrence", "drug_era"]},
                "concepts": _CONCEPTS,
            },
            "required": ["kind", "domain", "concepts"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"kind": {"const": "gender"}, "concepts": _CONCEPTS},
            "required": ["kind", "concepts"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "kind": {"const": "column"},
                "column": COLUMN,
                "at_least": _BOUND,
                "at_most": _BOUND,
                "equals": {"type": "string", "minLength": 1, "maxLength": 200},
            },
            "required": ["kind", "column"],
            "oneOf": [
                {"required": ["equals"]},
                {"anyOf": [{"required": ["at_least"]}, {"required": ["at_most"]}]},
            ],
            "additionalProperties": False,
        },
    ]
}
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Cohort definition",
    "type": "object",
    "properties": {
        "include": {"type": "array", "items": _CRITERION, "maxItems": 50},
        "exclude": {"type": "array", "items": _CRITERION, "maxItems": 50},
    },
    "required": ["include", "exclude"],
    "additionalProperties": False,
}
"""The shape of a cohort definition, as JSON Schema; plans embed it."""

_VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


class CohortError(ValueError):
    """A cohort definition is not one; `path` is where, as in ``$.include[0].concepts``."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


@dataclass(frozen=True)
class AnyRecord:
    """Holds for a person with a record of one of `concepts` within their observation period."""

    domain: Domain
    concepts: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the criterion in its wire format."""
        return {"kind": "any_record", "domain": self.domain, "concepts": list(self.concepts)}

    def __str__(self) -> str:
        name = {"condition_occurrence": "condition", "drug_era": "drug era"}[self.domain]
        return f"has a {name} record of {_any_of(self.concepts)} within the observation period"


@dataclass(frozen=True)
class Gender:
    """Holds for a person whose gender concept is one of `concepts`."""

    concepts: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the criterion in its wire format."""
        return {"kind": "gender", "concepts": list(self.concepts)}

    def __str__(self) -> str:
        return f"has gender {_any_of(self.concepts)}"


@dataclass(frozen=True)
class Column:
    """Holds for a person whose `column` lies within the bounds (inclusive), or equals a text.

    A missing value never holds, whether the criterion includes or excludes.
    """

    column: str
    at_least: int | None = None
    at_most: int | None = None
    equals: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the criterion in its wire format."""
        bounds = {"at_least": self.at_least, "at_most": self.at_most, "equals": self.equals}
        given = {name: value for name, value in bounds.items() if value is not None}
        return {"kind": "column", "column": self.column, **given}

    def __str__(self) -> str:
        if self.equals is not None:
            return f"has {self.column} = {self.equals}"
        bounds = []
        if self.at_least is not None:
            bounds.append(f"at least {self.at_least}")
        if self.at_most is not None:
            bounds.append(f"at most {self.at_most}")
        return f"has {self.column} {' and '.join(bounds)}"


Criterion: TypeAlias = AnyRecord | Gender | Column


@dataclass(frozen=True)
class CohortDefinition:
    """Who is counted: all of `include` hold, none of `exclude` does."""

    include: tuple[Criterion, ...] = ()
    exclude: tuple[Criterion, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the definition in its wire format, so that ``parse(d.to_json()) == d``."""
        return {
            "include": [criterion.to_json() for criterion in self.include],
            "exclude": [criterion.to_json() for criterion in self.exclude],
        }

    @property
    def needs_records(self) -> bool:
        """Whether a criterion asks for records beside the table of persons."""
        return any(isinstance(criterion, AnyRecord) for criterion in self._criteria)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table of persons that the criteria read."""
        names = [_column_of(criterion) for criterion in self._criteria]
        return tuple(name for name in names if name is not None)

    @property
    def _criteria(self) -> tuple[Criterion, ...]:
        return self.include + self.exclude

    def in_words(self) -> list[str]:
        """Return one plain sentence part per criterion, for pages that ask for a decision."""
        if not self.include and not self.exclude:
            return ["everyone in the data set"]
        return [str(criterion) for criterion in self.include] + [
            f"not counted: whoever {criterion}" for criterion in self.exclude
        ]


def parse(value: Any) -> CohortDefinition:
    """Return the cohort definition that the JSON `value` spells.

    *Raises* CohortError naming the place that is wrong.
    """
    error = jsonschema.exceptions.best_match(_VALIDATOR.iter_errors(value))
    if error is not None:
        raise CohortError(error.json_path, f"expected {_expectation(error)}")
    return CohortDefinition(
        include=_criteria(value["include"], "$.include"),
        exclude=_criteria(value["exclude"], "$.exclude"),
    )


def _criteria(values: Sequence[dict[str, Any]], path: str) -> tuple[Criterion, ...]:
    return tuple(_criterion(value, f"{path}[{index}]") for index, value in enumerate(values))


def _criterion(value: dict[str, Any], path: str) -> Criterion:
    if value["kind"] == "any_record":
        return AnyRecord(value["domain"], tuple(value["concepts"]))
    if value["kind"] == "gender":
        return Gender(tuple(value["concepts"]))
    lowest, highest = value.get("at_least"), value.get("at_most")
    if lowest is not None and highest is not None and lowest > highest:
        raise CohortError(path, f"expected at_least <= at_most, got {lowest} > {highest}")
    return Column(value["column"], lowest, highest, value.get("equals"))


def _column_of(criterion: Criterion) -> str | None:
    if isinstance(criterion, Column):
        return criterion.column
    return GENDER_COLUMN if isinstance(criterion, Gender) else None


def _any_of(concepts: Sequence[int]) -> str:
    names = [f"concept {concept}" for concept in concepts[:5]]
    more = len(concepts) - len(names)
    return " or ".join(names) + (f" or {more} more" if more > 0 else "")


def _expectation(error: jsonschema.ValidationError) -> str:
    """Say what the schema wanted in one line, without repeating the whole schema."""
    if error.validator == "oneOf":
        return (
            "one criterion of kind any_record, gender or column with exactly its own fields "
            "(docs/protocols/plan.md)"
        )
    return f"a value that satisfies {error.validator} {error.validator_value!r}"[:200]
