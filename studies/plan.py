"""The study plan: the exact question, as canonical JSON that everyone signs by digest.

The wire format, with an example::

    {"type": "study-plan", "study": "st-7f3a90c1", "version": 1,
     "title": "...", "purpose": "...", "purpose_category": "clinical_trial",
     "lay_summary": "...", "author": "m-ines",
     "class": {"name": "kaplan-meier", "version": 1, "digest": "<hex>"},
     "parameters": {...}, "cohort": {"include": [], "exclude": []}, "data_set": "lung",
     "sites": ["alder", "birch", "cedar"], "mode": "study",
     "privacy": {"currency": "micro-epsilon", "epsilon": "2"}, "max_sites_per_person": 1,
     "openings": [{"name": "result"}], "recipient": "gate",
     "expires_at": "2027-01-31T00:00:00Z", "max_runs": 3}

`sites` stands in the order of the parties. The bytes are compared, never re-written: a plan whose
digest differs by one byte is another plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from audit import canonical
from dp.accountant import micro_epsilon
from dp.events import DiscreteLaplace
from studies import catalogue, cohorts
from studies.catalogue import Declaration
from studies.cohorts import CohortDefinition
from studies.documents import (
    DIGEST,
    IDENTIFIER,
    MOMENT,
    POSITIVE,
    DocumentError,
    Problem,
    Schema,
    array,
    check,
    document,
    one_of,
    read,
    record,
    text,
)
from studies.plan_checks import (
    CLASS_DIGEST_MISMATCH,
    CLASS_UNKNOWN,
    PLAN_INVALID,
    ClassReference,
    problems_of,
)

__all__ = [
    "CLASS_DIGEST_MISMATCH",
    "CLASS_UNKNOWN",
    "PLAN_INVALID",
    "PURPOSES",
    "SCHEMA",
    "ClassReference",
    "PlanError",
    "StudyPlan",
]

PURPOSES: Mapping[str, str] = MappingProxyType(
    {
        "clinical_trial": "Clinical trial: does a treatment work, and is it safe?",
        "pharmacovigilance": "Pharmacovigilance: signals of harm from medicines in use",
        "genetics": "Genetics: variants, traits and response to therapy",
        "feasibility": "Feasibility: are there enough patients for a study?",
        "risk_scoring": "Risk scores between payers and providers",
        "quality": "Quality of care and service evaluation",
        "method_development": "Development and testing of methods",
    }
)
"""What a study may be for, in a word that sites' policies can ask about, and in plain words."""

SCHEMA: Schema = document(
    "study-plan",
    "The exact question of a study",
    {
        "study": IDENTIFIER,
        "version": POSITIVE,
        "title": text(200, 1),
        "purpose": text(4000, 1),
        "purpose_category": one_of(*PURPOSES),
        "lay_summary": text(4000, 1),
        "author": IDENTIFIER,
        "class": record({"name": IDENTIFIER, "version": POSITIVE, "digest": DIGEST}),
        "parameters": {"type": "object"},
        "cohort": {"type": "object"},
        "data_set": IDENTIFIER,
        "sites": array(IDENTIFIER, 2, 20, unique=True),
        "mode": one_of("study", "rehearsal"),
        "privacy": record(
            {
                "currency": one_of("micro-epsilon"),
                "epsilon": {
                    "description": "a decimal number with at most 6 digits after the point",
                    "type": "string",
                    "pattern": "^(0|[1-9][0-9]{0,3})([.][0-9]{1,6})?$",
                },
            }
        ),
        "max_sites_per_person": {"type": "integer", "minimum": 1, "maximum": 20},
        "openings": array(record({"name": IDENTIFIER}), 1, 1000, unique=True),
        "recipient": one_of("gate"),
        "expires_at": MOMENT,
        "max_runs": {"type": "integer", "minimum": 1, "maximum": 1000},
    },
)


class PlanError(DocumentError):
    """A study plan cannot be accepted. `problems` lists everything that is wrong with it.

    A problem's `code` is plan_invalid, class_unknown or class_digest_mismatch.
    """


@dataclass(frozen=True)
class StudyPlan:
    """One version of a study's plan, valid for its computation class.

    *Units*: `epsilon` is spent by each opening; the charge is in micro-epsilon.
    """

    study: str
    version: int
    title: str
    purpose: str
    purpose_category: str
    lay_summary: str
    author: str
    class_reference: ClassReference
    parameters: Mapping[str, Any] = field(hash=False)
    cohort: CohortDefinition
    data_set: str
    sites: tuple[str, ...]
    mode: str
    epsilon: Fraction
    max_sites_per_person: int
    openings: tuple[str, ...]
    recipient: str
    expires_at: str
    max_runs: int
    body: bytes = field(repr=False)

    @classmethod
    def parse(cls, body: bytes) -> StudyPlan:
        """Return the plan whose canonical bytes are `body`.

        *Raises* PlanError with every problem: form, class, parameters, cohort, sites, epsilon.
        """
        try:
            return _plan(read(body, SCHEMA), body)
        except PlanError:
            raise
        except DocumentError as error:
            raise _invalid(error) from None

    @classmethod
    def build(cls, value: Mapping[str, Any]) -> StudyPlan:
        """Return the plan that `value`, decoded JSON, describes.

        *Raises* PlanError with every problem.
        """
        try:
            body = canonical.dumps(check(dict(value), SCHEMA))
        except canonical.CanonicalError as error:
            raise PlanError(
                [Problem(error.path, "canonical JSON", str(error), PLAN_INVALID)]
            ) from None
        except DocumentError as error:
            raise _invalid(error) from None
        return _plan(canonical.loads(body), body)

    @property
    def digest(self) -> str:
        """The study digest: SHA-256 of the canonical bytes, in hex."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def declaration(self) -> Declaration:
        """The declaration of the plan's computation class."""
        return catalogue.get(self.class_reference.name, self.class_reference.version)

    @property
    def event(self) -> DiscreteLaplace:
        """The privacy event of one opening.

        A person at several sites moves the table once at each, so the sensitivity is the class's
        times `max_sites_per_person`.
        """
        sensitivity = self.declaration.sensitivity * self.max_sites_per_person
        return DiscreteLaplace(self.epsilon, sensitivity)

    @property
    def charge_micro_epsilon(self) -> int:
        """What one run costs each site's budget: epsilon for every opening, rounded up.

        A person at several sites (`max_sites_per_person`) raises the noise, not the charge.
        """
        return micro_epsilon(self.event) * len(self.openings)

    @property
    def is_rehearsal(self) -> bool:
        """Whether the plan rehearses, on synthetic or public data, with noise that may be off."""
        return self.mode == "rehearsal"

    def canonical(self) -> bytes:
        """Return the plan's canonical bytes."""
        return self.body

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        value: dict[str, Any] = canonical.loads(self.body)
        return value


def _plan(value: dict[str, Any], body: bytes) -> StudyPlan:
    if problems := problems_of(value):
        raise PlanError(problems)
    return StudyPlan(
        study=value["study"],
        version=value["version"],
        title=value["title"],
        purpose=value["purpose"],
        purpose_category=value["purpose_category"],
        lay_summary=value["lay_summary"],
        author=value["author"],
        class_reference=ClassReference(**value["class"]),
        parameters=value["parameters"],
        cohort=cohorts.parse(value["cohort"]),
        data_set=value["data_set"],
        sites=tuple(value["sites"]),
        mode=value["mode"],
        epsilon=Fraction(value["privacy"]["epsilon"]),
        max_sites_per_person=value["max_sites_per_person"],
        openings=tuple(opening["name"] for opening in value["openings"]),
        recipient=value["recipient"],
        expires_at=value["expires_at"],
        max_runs=value["max_runs"],
        body=body,
    )


def _invalid(error: DocumentError) -> PlanError:
    return PlanError([replace(problem, code=PLAN_INVALID) for problem in error.problems])
