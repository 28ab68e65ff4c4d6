"""Writing a site's policy: a few choices made into Cedar rules that can be read, and edited.

`site-agent policy --maximum-epsilon 2 --hours 8-18 ...` writes the file anew from its choices, as
long as nobody has edited it by hand; from then on the file is the steward's own, and
`site-agent policy --set FILE` replaces it. What the rules mean is `governance.site_policy`'s.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

from workers.party.documents import check_document
from workers.party.errors import HomeError

_NAMES = {
    "type": "array",
    "items": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"},
    "uniqueItems": True,
}
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
        "purposes": _NAMES,
        "organisations": _NAMES,
        "hours": {"type": "string", "pattern": "^$|^([0-9]|1[0-9]|2[0-3])-([1-9]|1[0-9]|2[0-4])$"},
        "lifetime_epsilon": {"type": "string", "pattern": r"^$|^(0|[1-9][0-9]*)(\.[0-9]+)?$"},
        "require_local_consent": {"type": "boolean"},
        "require_release": {"type": "boolean"},
    },
    "additionalProperties": False,
}
_MARK = "// choices: "
_HEAD = """// What this site permits, whatever the committee permits. What no rule permits
// is refused. Written by site-agent policy; once you edit it, it is yours and stays as it is.
// Try it with: site-agent policy --test PLAN
"""


@dataclass(frozen=True)
class Choices:
    """What `site-agent policy` asks for; empty tuples and texts ask for nothing.

    `maximum_epsilon` is for one run, over all its openings; `lifetime_epsilon` for all studies on a
    data set, `hours` in UTC like "8-18". *Units* epsilon, as decimal text.
    """

    maximum_epsilon: str = "2"
    minimum_cohort: int = 20
    classes: tuple[str, ...] = ("cohort-count/1", "kaplan-meier/1")
    purposes: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()
    hours: str = ""
    lifetime_epsilon: str = ""
    require_local_consent: bool = False
    require_release: bool = False

    @classmethod
    def parse(cls, document: Any) -> Choices:
        """Return the choices in `document`. *Raises* HomeError naming the field."""
        check_document(document, _SCHEMA, "the policy's choices")
        lists = {
            field.name: tuple(document[field.name])
            for field in fields(cls)
            if isinstance(document.get(field.name), list)
        }
        choices = cls(**{**document, **lists})
        begin, _, end = choices.hours.partition("-")
        if choices.hours and int(begin) >= int(end):
            raise HomeError(f"the policy's choices: expected hours like 8-18, got {choices.hours}")
        return choices

    @classmethod
    def of_file(cls, text: str) -> Choices | None:
        """Return the choices that the policy file `text` was written from; None if by hand."""
        found = re.search(rf"^{re.escape(_MARK)}(.*)$", text, re.MULTILINE)
        if found is None:
            return None
        try:
            choices = cls.parse(json.loads(found[1]))
        except (ValueError, HomeError):
            return None
        return choices if choices.to_cedar() == text else None

    def to_cedar(self) -> str:
        """Return the policy file that these choices make."""
        rules = []
        if self.classes:  # without a rule that permits, nothing is
            words = f"Studies of {', '.join(self.classes)} are permitted."
            when = f"when {{ {_one_of(self.classes, 'resource.computation_class')} }}"
            rules.append(_rule("permit", "execute", "class", words, when))
        rules.append(
            _rule(
                "forbid",
                "execute",
                "epsilon-of-a-run",
                f"A run costs at most epsilon {self.maximum_epsilon}.",
                f"when {{ context.run.charge > {_micro(self.maximum_epsilon)} }}",
            )
        )
        rules.extend(self._narrower())
        rules.append(
            _rule(
                "permit",
                "consent",
                "cohort",
                f"Nobody consents here with fewer than {self.minimum_cohort} persons.",
                f"when {{ context.counted >= {self.minimum_cohort} }}",
            )
        )
        rules.append(self._release())
        choices = json.dumps(asdict(self), sort_keys=True)
        return "\n".join([f"{_HEAD}{_MARK}{choices}\n", *rules])

    def _narrower(self) -> list[str]:
        """Return the rules of choices that not every site makes."""
        rules = []
        if self.purposes:
            words = f"Studies are for {', '.join(self.purposes)} only."
            unless = f"unless {{ {_one_of(self.purposes, 'resource.purpose')} }}"
            rules.append(_rule("forbid", "execute", "purpose", words, unless))
        if self.organisations:
            words = f"Investigators are of {', '.join(self.organisations)} only."
            unless = f"unless {{ {_one_of(self.organisations, 'principal.organisation')} }}"
            rules.append(_rule("forbid", "execute", "organisation", words, unless))
        if self.hours:
            begin, end = self.hours.split("-")
            words = f"Runs take place between {begin} and {end} o'clock UTC."
            within = f"context.run.hour >= {begin} && context.run.hour < {end}"
            rules.append(_rule("forbid", "execute", "hours", words, f"unless {{ {within} }}"))
        if self.lifetime_epsilon:
            words = f"All studies on a data set cost at most epsilon {self.lifetime_epsilon}."
            over = f"context.run.spent + context.run.charge > {_micro(self.lifetime_epsilon)}"
            rules.append(
                _rule("forbid", "execute", "lifetime-epsilon", words, f"when {{ {over} }}")
            )
        if self.require_local_consent:
            words = "Only a consent signed at the site counts, with site-agent consent."
            unless = "unless { context.consent_signed_here }"
            rules.append(_rule("forbid", "execute", "local-consent", words, unless))
        return rules

    def _release(self) -> str:
        if self.require_release:
            words = "A steward lets each share go, with site-agent release or in the portal."
            return _rule("permit", "release", "release", words, "when { context.released_here }")
        return _rule("permit", "release", "release", "Shares go at once when the gate permits.", "")


def _rule(effect: str, action: str, name: str, sentence: str, condition: str) -> str:
    lines = [
        f'@id("{name}")',
        f'@sentence("{sentence}")',
        f'{effect} (principal, action == Action::"{action}", resource)',
    ]
    return "\n".join([*lines, condition] if condition else lines) + ";\n"


def _one_of(values: tuple[str, ...], what: str) -> str:
    return f"{json.dumps(list(values))}.contains({what})"


def _micro(epsilon: str) -> int:
    return int(Fraction(epsilon) * 1_000_000)
