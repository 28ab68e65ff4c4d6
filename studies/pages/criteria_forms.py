"""The rows in which an author says who is counted: one criterion each, empty rows left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from django import forms

from studies import cohorts
from studies.catalogue import Declaration
from studies.cohorts import CohortError

PREFIX = "criteria"
SPARE_ROWS = 2
MOST_ROWS = 100

_RECORDS = {
    "condition_occurrence": "has a condition record of",
    "drug_era": "has a drug era record of",
}
_KINDS_BY_MODEL = {
    "omop": [*_RECORDS.items(), ("gender", "has gender")],
    "table": [("between", "has a column between"), ("equals", "has a column equal to")],
}


class CriterionForm(forms.Form):
    """One criterion. Which of the later fields count depends on `kind`."""

    use = forms.ChoiceField(
        label="Rule", choices=[("include", "Count whoever"), ("exclude", "Leave out whoever")]
    )
    kind = forms.ChoiceField(label="Criterion", required=False)
    concepts = forms.CharField(
        label="Concepts",
        required=False,
        help_text="OMOP concept numbers, with commas between.",
    )
    column = forms.CharField(label="Column", required=False)
    at_least = forms.IntegerField(label="At least", required=False)
    at_most = forms.IntegerField(label="At most", required=False)
    equals = forms.CharField(label="Equal to", required=False, max_length=200)

    def __init__(self, *arguments: Any, declaration: Declaration, **named: Any) -> None:
        super().__init__(*arguments, **named)
        kinds = [kind for model in declaration.data_models for kind in _KINDS_BY_MODEL[model]]
        choices = self.fields["kind"]
        assert isinstance(choices, forms.ChoiceField)
        choices.choices = [("", "(nothing: this row is left out)"), *kinds]
        self._drop_fields("omop" in declaration.data_models, "table" in declaration.data_models)

    def _drop_fields(self, records: bool, columns: bool) -> None:
        if not records:
            del self.fields["concepts"]
        if not columns:
            for name in ("column", "at_least", "at_most", "equals"):
                del self.fields[name]

    def clean_concepts(self) -> list[int]:
        """Return the concept numbers."""
        written = self.cleaned_data["concepts"].replace(",", " ").split()
        try:
            return [int(number) for number in written]
        except ValueError:
            raise forms.ValidationError(
                "Write concept numbers with commas between, such as 192671, 80809."
            ) from None

    def clean(self) -> dict[str, Any]:
        """Return the fields, once the criterion they make can be read."""
        cleaned = super().clean() or {}
        criterion = _criterion(cleaned)
        if criterion is not None and not self.errors:
            try:
                cohorts.parse({"include": [criterion], "exclude": []})
            except CohortError:
                self.add_error(*_missing(cleaned["kind"]))
        return cleaned

    @property
    def criterion(self) -> dict[str, Any] | None:
        """The criterion in its wire format; None for an empty row."""
        return _criterion(self.cleaned_data)


if TYPE_CHECKING:
    _Rows: TypeAlias = forms.BaseFormSet[CriterionForm]
else:
    _Rows = forms.BaseFormSet


class Criteria(_Rows):
    """Every row of a cohort definition."""

    def cohort(self) -> dict[str, Any]:
        """Return the cohort definition that the valid rows make."""
        found: dict[str, list[Any]] = {"include": [], "exclude": []}
        for row in self.forms:
            if (criterion := row.criterion) is not None:
                found[row.cleaned_data["use"]].append(criterion)
        return found


def criteria_rows(
    declaration: Declaration,
    data: Mapping[str, Any] | None = None,
    initial: Sequence[Mapping[str, Any]] = (),
) -> Criteria:
    """Return the rows: bound to `data`, or showing `initial` and a few empty ones."""
    rows = forms.formset_factory(
        CriterionForm,
        formset=Criteria,
        extra=SPARE_ROWS,
        max_num=MOST_ROWS,
        absolute_max=MOST_ROWS,
    )
    made = rows(data, initial=initial, prefix=PREFIX, form_kwargs={"declaration": declaration})
    return cast("Criteria", made)


def rows_of(cohort: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what the rows show for a cohort definition in its wire format."""
    return [
        {"use": use, **_row(criterion)}
        for use in ("include", "exclude")
        for criterion in cohort[use]
    ]


def rows_typed(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a posted form as they were typed, right or wrong, without empty ones."""
    try:
        total = min(int(data.get(f"{PREFIX}-TOTAL_FORMS", "0")), MOST_ROWS)
    except ValueError:
        total = 0
    typed = [
        {name: data.get(f"{PREFIX}-{row}-{name}", "") for name in CriterionForm.base_fields}
        for row in range(total)
    ]
    return [row for row in typed if any(row[name] for name in row if name != "use")]


def _row(criterion: Mapping[str, Any]) -> dict[str, Any]:
    if criterion["kind"] == "any_record":
        written = ", ".join(map(str, criterion["concepts"]))
        return {"kind": criterion["domain"], "concepts": written}
    if criterion["kind"] == "gender":
        return {"kind": "gender", "concepts": ", ".join(map(str, criterion["concepts"]))}
    kind = "equals" if "equals" in criterion else "between"
    return {**criterion, "kind": kind}


def _criterion(cleaned: Mapping[str, Any]) -> dict[str, Any] | None:
    kind = cleaned.get("kind")
    if not kind:
        return None
    if kind in _RECORDS:
        return {"kind": "any_record", "domain": kind, "concepts": cleaned.get("concepts", [])}
    if kind == "gender":
        return {"kind": "gender", "concepts": cleaned.get("concepts", [])}
    names = ("equals",) if kind == "equals" else ("at_least", "at_most")
    bounds = {name: cleaned.get(name) for name in names}
    given = {name: value for name, value in bounds.items() if value not in (None, "")}
    return {"kind": "column", "column": cleaned.get("column", ""), **given}


def _missing(kind: str) -> tuple[str, str]:
    """Return the field that a criterion of `kind` stumbled over, and what it wants."""
    if kind in {"gender", *_RECORDS}:
        return "concepts", "Write one or more different concept numbers, each above 0."
    if kind == "equals":
        return "equals", "Name a column, and the text that it must equal."
    return "column", "Name a column, and a lowest or a highest whole number, in that order."
