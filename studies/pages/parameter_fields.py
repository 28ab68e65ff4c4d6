"""Form fields for a class's parameters, made from its declaration's JSON Schema.

Only the kinds of parameter that the catalogue has are known here; a class that needs another kind
fails its test until it is added, never a person who fills in the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from studies.catalogue import Declaration
from studies.documents import COLUMN

PREFIX = "parameter_"
COLUMN_PATTERN = str(COLUMN["pattern"])
COLUMN_EXPLAINED = "A column's name begins with a letter; then letters, digits, _ and . may follow."
COLUMNS_LIST = "known-columns"
"""The id of the page's list of columns that the sites' agents have registered."""


class PairsField(forms.CharField):
    """Lines of ``value = label``, as a list of records; a line without "=" labels itself."""

    widget = forms.Textarea(attrs={"rows": 4, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        """Return the lines that stand for `value`, which is a list of records or text."""
        if isinstance(value, list):
            return "\n".join(f"{pair['value']} = {pair['label']}" for pair in value)
        return value

    def to_python(self, value: Any) -> Any:
        """Return the records that the lines of `value` spell; empty lines count for nothing."""
        lines = [line for line in str(value or "").splitlines() if line.strip()]
        return [_pair(line) for line in lines]

    def validate(self, value: Any) -> None:
        """Raise unless there is a line where there must be one."""
        if self.required and not value:
            raise forms.ValidationError("Write at least one line.", code="required")

    def run_validators(self, value: Any) -> None:
        """Leave the records to the declaration's own check, which has the better words."""


def field_name(parameter: str) -> str:
    """Return what the form calls a parameter."""
    return f"{PREFIX}{parameter}"


def parameter_fields(declaration: Declaration) -> dict[str, forms.Field]:
    """Return a form field for each parameter of the class, by the form's name for it.

    *Raises* LookupError for a kind of parameter that has no field yet.
    """
    schema = declaration.parameter_schema
    required = schema.get("required", [])
    return {
        field_name(name): _field(name, shape, required=name in required)
        for name, shape in schema["properties"].items()
    }


def _field(name: str, shape: Mapping[str, Any], *, required: bool) -> forms.Field:
    told: dict[str, Any] = {
        "label": name.replace("_", " ").capitalize(),
        "help_text": shape.get("description", ""),
        "required": required,
    }
    if "enum" in shape:
        return forms.ChoiceField(choices=[(value, value) for value in shape["enum"]], **told)
    if shape["type"] == "integer":
        return _whole_number(shape, told)
    if shape["type"] == "array":
        told["help_text"] += (
            " One line each: the value in the data, an equals sign, the name to show."
            " For example: 1 = Placebo"
        )
        return PairsField(**told)
    if shape["type"] == "string" and shape.get("pattern") == COLUMN_PATTERN:
        return forms.RegexField(
            regex=COLUMN_PATTERN.removesuffix("$") + r"\Z",
            error_messages={"invalid": COLUMN_EXPLAINED},
            widget=forms.TextInput(attrs={"list": COLUMNS_LIST, "spellcheck": "false"}),
            **told,
        )
    raise LookupError(f"expected a kind of parameter that has a form field, got {name}: {shape}")


def _whole_number(shape: Mapping[str, Any], told: dict[str, Any]) -> forms.Field:
    low, high = shape.get("minimum"), shape.get("maximum")
    if low is not None and high is not None:
        told["help_text"] += f" A whole number from {low:,} to {high:,}."
    if not told["required"]:
        told["help_text"] += " May stay empty."
    return forms.IntegerField(min_value=low, max_value=high, **told)


def _pair(line: str) -> dict[str, str]:
    value, equals, label = (part.strip() for part in line.partition("="))
    return {"value": value, "label": label if equals else value}
