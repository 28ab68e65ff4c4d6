"""What a schema cannot say of a study plan: whether it fits its class, its cohort and itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dp.mechanisms import LARGEST_SCALE
from studies import catalogue, cohorts
from studies.catalogue import Declaration, ParameterError
from studies.cohorts import CohortError
from studies.documents import DocumentError, Problem, parse_moment, shown

PLAN_INVALID = "plan_invalid"
CLASS_UNKNOWN = "class_unknown"
CLASS_DIGEST_MISMATCH = "class_digest_mismatch"


@dataclass(frozen=True)
class ClassReference:
    """The computation class a plan uses: name, version and the digest of its declaration."""

    name: str
    version: int
    digest: str

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


def problems_of(value: Mapping[str, Any]) -> list[Problem]:
    """Return every problem of the plan `value`, which fits the schema, with its class and itself.

    A problem's code is plan_invalid, class_unknown or class_digest_mismatch.
    """
    return [*_class_problems(value), *_own_problems(value)]


def _class_problems(value: Mapping[str, Any]) -> list[Problem]:
    named = ClassReference(**value["class"])
    try:
        declaration = catalogue.get(named.name, named.version)
    except KeyError:
        known = ", ".join(sorted(catalogue.CATALOGUE))
        return [Problem("$.class", f"one of the classes {known}", str(named), CLASS_UNKNOWN)]
    problems = []
    if named.digest != declaration.digest:
        problems.append(
            Problem("$.class.digest", declaration.digest, named.digest, CLASS_DIGEST_MISMATCH)
        )
    return [*problems, *_bound_problems(value, declaration)]


def _bound_problems(value: Mapping[str, Any], declaration: Declaration) -> list[Problem]:
    problems = []
    try:
        declaration.validate_parameters(value["parameters"])
    except ParameterError as error:
        expected, _, came = str(error).removeprefix(f"{error.field}: ").partition(", got ")
        problems.append(_problem(f"$.parameters.{error.field}", expected, came or "another value"))
    epsilon, most = value["privacy"]["epsilon"], declaration.maximum_epsilon
    sensitivity = declaration.sensitivity * value["max_sites_per_person"]
    if not 0 < Fraction(epsilon) <= Fraction(most):
        problems.append(_problem("$.privacy.epsilon", f"more than 0 and at most {most}", epsilon))
    elif Fraction(epsilon) * LARGEST_SCALE < sensitivity:
        least = f"at least {sensitivity} / {LARGEST_SCALE}: under more noise no result can be read"
        problems.append(_problem("$.privacy.epsilon", least, epsilon))
    if len(value["sites"]) < declaration.minimum_sites:
        expected = f"at least {declaration.minimum_sites} sites for {declaration.identifier}"
        problems.append(_problem("$.sites", expected, str(len(value["sites"]))))
    return problems


def _own_problems(value: Mapping[str, Any]) -> list[Problem]:
    problems = []
    try:
        cohorts.parse(value["cohort"])
    except CohortError as error:
        where = error.path.replace("$", "$.cohort", 1)
        problem = str(error).removeprefix(f"{error.path}: ")
        problems.append(_problem(where, problem, "another value"))
    if value["max_sites_per_person"] > len(value["sites"]):
        problems.append(
            _problem(
                "$.max_sites_per_person",
                f"at most the number of sites, {len(value['sites'])}",
                str(value["max_sites_per_person"]),
            )
        )
    try:
        parse_moment(value["expires_at"])
    except DocumentError:
        problems.append(_problem("$.expires_at", "a day that exists", shown(value["expires_at"])))
    return problems


def _problem(where: str, expected: str, came: str) -> Problem:
    return Problem(where, expected.removeprefix("expected "), came, PLAN_INVALID)
