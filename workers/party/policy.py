"""A site's own policy: floors that no committee, consent or portal can lower."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from studies.plan import StudyPlan
from workers.party.documents import check_document

_SCHEMA = {
    "type": "object",
    "properties": {
        "maximum_epsilon": {"type": "string", "pattern": r"^(0|[1-9][0-9]*)(\.[0-9]+)?$"},
        "minimum_cohort": {"type": "integer", "minimum": 0},
        "classes": {
            "type": "array",
            "items": {"type": "string", "pattern": "^[a-z0-9-]+/[1-9][0-9]*$"},
            "uniqueItems": True,
        },
        "require_local_consent": {"type": "boolean"},
        "require_release": {"type": "boolean"},
    },
    "required": [
        "maximum_epsilon",
        "minimum_cohort",
        "classes",
        "require_local_consent",
        "require_release",
    ],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Policy:
    """What this site permits.

    One run may spend at most `maximum_epsilon`, over all openings, and its class must be one of
    `classes` ("name/version"). Where `require_local_consent` holds, only a consent signed at the
    site counts, never one signed in the portal's pages. With a cohort of fewer than
    `minimum_cohort` persons nobody consents at the site; once consented, no message depends on
    the number (ADR 9).
    """

    maximum_epsilon: str = "2"
    minimum_cohort: int = 20
    classes: tuple[str, ...] = ("cohort-count/1", "kaplan-meier/1")
    require_local_consent: bool = False
    require_release: bool = False

    @classmethod
    def parse(cls, document: Any) -> Policy:
        """Return the policy in `document`. *Raises* HomeError naming the field."""
        check_document(document, _SCHEMA, "policy.json")
        return cls(**{**document, "classes": tuple(document["classes"])})

    def to_json(self) -> dict[str, Any]:
        """Return what `parse` reads back."""
        return {
            "maximum_epsilon": self.maximum_epsilon,
            "minimum_cohort": self.minimum_cohort,
            "classes": list(self.classes),
            "require_local_consent": self.require_local_consent,
            "require_release": self.require_release,
        }

    def objection(self, plan: StudyPlan) -> str | None:
        """Return in one sentence why a study is against this policy; None when it is not."""
        class_key, epsilon = plan.declaration.identifier, plan.epsilon * len(plan.openings)
        if class_key not in self.classes:
            return f"This site's policy does not permit the computation class {class_key}."
        if epsilon > Fraction(self.maximum_epsilon):
            return (
                f"This site's policy permits an epsilon of at most {self.maximum_epsilon} a run; "
                f"the plan asks for {float(epsilon):g}."
            )
        return None
