"""Strict reading of documents: canonical JSON that satisfies a JSON Schema, or every problem named.

Schemas are JSON Schema draft 2020-12. They stand beside the parser that uses them and are written
to ``docs/protocols/schemas/``. A pattern ending in ``$`` ends at the end of the text (Python's
``re`` alone would also accept a final newline). Where a pattern stands beside a
``description``, people are told that instead: it says what is expected.

Moments are text such as ``2026-11-22T23:41:37Z``: UTC, whole seconds, one spelling each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators

from audit import canonical

Schema = dict[str, Any]

_MOMENT = "%Y-%m-%dT%H:%M:%SZ"

# Building blocks for the schemas beside each parser.
DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
COLUMN: Schema = {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_.]{0,63}$"}
KEY_HEX: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
MOMENT: Schema = {"type": "string", "pattern": "^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}Z$"}
IDENTIFIER: Schema = {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$"}
POSITIVE: Schema = {"type": "integer", "minimum": 1}
COUNT: Schema = {"type": "integer", "minimum": 0}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a document: where, what was expected, what came."""

    field: str
    expected: str
    came: str
    code: str = "malformed"

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, came {self.came}"


class DocumentError(ValueError):
    """A document is not what it must be. `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def text(maximum: int, minimum: int = 0) -> Schema:
    """Return the schema of a text of `minimum` to `maximum` characters."""
    return {"type": "string", "minLength": minimum, "maxLength": maximum}


def one_of(*values: str) -> Schema:
    """Return the schema of a text that is one of `values`."""
    return {"type": "string", "enum": list(values)}


def array(
    items: Schema, minimum: int = 0, maximum: int = 10_000, *, unique: bool = False
) -> Schema:
    """Return the schema of a list of `minimum` to `maximum` `items`."""
    schema: Schema = {"type": "array", "items": items, "minItems": minimum, "maxItems": maximum}
    return {**schema, "uniqueItems": True} if unique else schema


def record(fields: Mapping[str, Schema], *, optional: Sequence[str] = ()) -> Schema:
    """Return the schema of an object with exactly `fields`, of which `optional` may be missing."""
    return {
        "type": "object",
        "properties": dict(fields),
        "required": [name for name in fields if name not in optional],
        "additionalProperties": False,
    }


def document(name: str, title: str, fields: Mapping[str, Schema]) -> Schema:
    """Return the schema of the document `name`: a record whose ``type`` is that name."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"https://quorate.org/schemas/{name}.json",
        "title": title,
        **record({"type": {"const": name}, **fields}),
    }


def read(data: bytes, schema: Schema) -> dict[str, Any]:
    """Return the document whose canonical bytes are `data`, checked against `schema`.

    *Raises* DocumentError when `data` is not canonical JSON or does not satisfy `schema`.
    """
    try:
        value = canonical.loads(data)
    except canonical.CanonicalError as error:
        problem = str(error).removeprefix(f"{error.path}: ")
        raise DocumentError([Problem(error.path, "canonical JSON", problem)]) from None
    return check(value, schema)


def check(value: Any, schema: Schema) -> dict[str, Any]:
    """Return `value`, which satisfies `schema`.

    *Raises* DocumentError with one problem for each fault.
    """
    problems = [_problem(error) for error in _errors(value, schema)]
    if problems:
        raise DocumentError(problems)
    found: dict[str, Any] = value
    return found


def format_moment(moment: datetime) -> str:
    """Return `moment` as documents write it, with fractions of a second cut off.

    *Raises* ValueError when `moment` does not say its time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("expected a moment with its time zone, got one without")
    return moment.astimezone(UTC).strftime(_MOMENT)


def parse_moment(written: str) -> datetime:
    """Return the moment that `written` names.

    *Raises* DocumentError when it is not of the form 2026-11-22T23:41:37Z or no such day exists.
    """
    try:
        moment = datetime.strptime(written, _MOMENT).replace(tzinfo=UTC)
    except ValueError:
        moment = None
    if moment is None or format_moment(moment) != written:
        raise DocumentError([Problem("$", "a moment like 2026-11-22T23:41:37Z", shown(written))])
    return moment


def shown(value: Any) -> str:
    """Return `value` short enough for a message."""
    written = repr(value)
    return written if len(written) <= 60 else f"{written[:57]}..."


def path_of(parts: Sequence[str | int]) -> str:
    """Return where a value stands, as in ``$.cohort.include[2].kind``."""
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)


def _errors(value: Any, schema: Schema) -> list[ValidationError]:
    validator = _validator(canonical.dumps(schema))
    return sorted(validator.iter_errors(value), key=lambda error: error.json_path)


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    return _StrictValidator(canonical.loads(schema))


def _pattern(
    _validator: Any, pattern: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    python = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    if isinstance(instance, str) and not re.search(python, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_StrictValidator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern}
)

_EXPECTED = {
    "type": "a value of type {0}",
    "pattern": "text that matches {0}",
    "enum": "one of {0}",
    "const": "{0}",
    "minimum": "at least {0}",
    "maximum": "at most {0}",
    "minLength": "at least {0} characters",
    "maxLength": "at most {0} characters",
    "minItems": "at least {0} items",
    "maxItems": "at most {0} items",
    "uniqueItems": "items that all differ",
}


def _problem(error: ValidationError) -> Problem:
    field = path_of(list(error.absolute_path))
    rule = str(error.validator)
    bound: Any = error.validator_value
    value: Any = error.instance
    if rule == "required":
        missing = sorted(set(bound) - set(value))
        return Problem(field, f"the fields {', '.join(bound)}", f"none named {', '.join(missing)}")
    if rule == "additionalProperties":
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        unknown = sorted(set(value) - set(known))
        return Problem(field, "no other fields than the known ones", f"also {', '.join(unknown)}")
    if rule == "pattern" and isinstance(error.schema, dict) and "description" in error.schema:
        return Problem(field, str(error.schema["description"]), shown(value))
    if rule in _EXPECTED:
        written = ", ".join(map(str, bound)) if isinstance(bound, list) else str(bound)
        return Problem(field, _EXPECTED[rule].format(written), shown(value))
    return Problem(field, "what the schema says", error.message)
