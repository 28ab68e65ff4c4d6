"""What statements say: one frozen dataclass and one JSON Schema for each kind.

`decisions` has what people sign, `run_statements` and `result_statements` what sites sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Self

from audit import canonical
from governance.errors import StatementError, malformed
from governance.reasons import sentence
from governance.statements.envelope import Envelope, Kind
from studies.documents import DocumentError, Schema, parse_moment, read

_MOMENTS = ("issued_at", "valid_until", "deadline")


class Payload:
    """What one kind of statement says. Subclasses are frozen dataclasses with flat JSON fields.

    A field's JSON name is its own, apart from `class_name`, which JSON calls ``class``.
    """

    KIND: ClassVar[Kind]
    SCHEMA: ClassVar[Schema]

    def __post_init__(self) -> None:
        for name in _MOMENTS:
            if hasattr(self, name):
                _check_moment(name, getattr(self, name))

    @classmethod
    def of(cls, envelope: Envelope) -> Self:
        """Return what `envelope` states. Its signatures are not looked at.

        *Raises* StatementError when it is of another kind or its payload does not fit the schema.
        """
        if envelope.kind is not cls.KIND:
            details = {"expected": cls.KIND.value, "came": envelope.kind.value}
            raise StatementError(
                "statement_wrong_kind", sentence("statement_wrong_kind", **details)
            )
        return cls.parse(envelope.body)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Return what the canonical bytes `body` state.

        *Raises* StatementError when they are not canonical or do not fit the schema.
        """
        try:
            return cls.from_json(read(body, cls.SCHEMA))
        except DocumentError as error:
            raise malformed(str(error)) from None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the payload with the fields of `value`, which fits the schema."""
        return cls(**{_attribute(name): item for name, item in value.items() if name != "type"})

    def to_json(self) -> dict[str, Any]:
        """Return the payload as JSON."""
        return {"type": self.KIND.value, **_to_json(self)}

    @property
    def digest(self) -> str:
        """SHA-256 of the payload's canonical bytes, in hex."""
        return canonical.digest(self.to_json())

    def canonical(self) -> bytes:
        """Return the payload's canonical bytes."""
        return canonical.dumps(self.to_json())


def _check_moment(name: str, written: str) -> None:
    try:
        parse_moment(written)
    except DocumentError as error:
        raise malformed(str(error).replace("$", name, 1)) from None


def _attribute(name: str) -> str:
    return "class_name" if name == "class" else name


def _to_json(value: Any) -> Any:
    if is_dataclass(value):
        named = {item.name: _to_json(getattr(value, item.name)) for item in fields(value)}
        return {"class" if name == "class_name" else name: item for name, item in named.items()}
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _to_json(item) for name, item in value.items()}
    return value
