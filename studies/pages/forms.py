"""The form in which an author writes a study plan, and what it makes of a plan that exists.

The form checks each field where a person can put it right; `studies.plan` then checks the whole,
and has the last word. What it finds is shown beside the field that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

from django import forms
from django.utils import timezone

from accounts.models import Site
from dp.events import epsilon_from_decimal
from studies.catalogue import Declaration, ParameterError
from studies.documents import Problem, format_moment, parse_moment
from studies.pages.parameter_fields import PREFIX, field_name, parameter_fields
from studies.plan import PURPOSES

DEFAULT_LIFETIME = timedelta(days=60)

# Where the plan says it, and where the form asks for it.
_FIELD_OF = {
    "$.class": "computation_class",
    "$.privacy": "epsilon",
    "$.expires_at": "expires_on",
    "$.cohort": None,
}


_AS_WRITTEN = (
    "title",
    "purpose",
    "purpose_category",
    "lay_summary",
    "data_set",
    "sites",
    "mode",
    "max_sites_per_person",
    "max_runs",
)
"""The fields that stand in the plan as they do in the form."""


class PlanForm(forms.Form):
    """Everything that an author chooses, for one computation class; criteria are a formset."""

    title = forms.CharField(max_length=200, help_text="What people will call the study.")
    purpose = forms.CharField(
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="Why it is asked, for the committee: the question, who benefits, what will be"
        " done with the answer.",
    )
    purpose_category = forms.ChoiceField(
        label="Kind of purpose",
        choices=[("", "Choose one"), *PURPOSES.items()],
        help_text="Sites may permit some kinds and not others.",
    )
    lay_summary = forms.CharField(
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="The same in a few sentences that a patient would understand.",
    )
    data_set = forms.CharField(
        max_length=64, help_text="The name under which every chosen site has registered it."
    )
    sites = forms.MultipleChoiceField(
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose the sites that take part."},
    )
    max_sites_per_person = forms.IntegerField(
        label="At how many of these sites can one person be a patient",
        min_value=1,
        max_value=20,
        initial=1,
        help_text="1 if no person is at two sites. More means more noise, so that such a person"
        " is protected too.",
    )
    epsilon = forms.CharField(
        widget=forms.TextInput(attrs={"inputmode": "decimal", "class": "short"}),
        label="Epsilon of each run",
    )
    max_runs = forms.IntegerField(
        label="Runs at most",
        min_value=1,
        max_value=1000,
        initial=1,
        help_text="Every run draws new noise and is charged again.",
    )
    expires_on = forms.DateField(
        label="Last day",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Nothing runs after this day. It ends at midnight UTC.",
    )
    mode = forms.ChoiceField(
        choices=[
            ("study", "A study: the result carries noise"),
            ("rehearsal", "A rehearsal, on synthetic or public data only: noise may be off"),
        ],
        initial="study",
    )

    def __init__(
        self, *arguments: Any, declaration: Declaration, sites: Sequence[Site], **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self.declaration = declaration
        self.fields.update(parameter_fields(declaration))
        choices = self.fields["sites"]
        assert isinstance(choices, forms.MultipleChoiceField)
        choices.choices = [(site.slug, site.organisation.name) for site in sites]
        choices.help_text = f"{declaration.minimum_sites} or more."
        self.fields["epsilon"].help_text = (
            f"More than 0, at most {declaration.maximum_epsilon}. Smaller protects better and adds"
            " more noise. Every run charges it to each site's budget."
        )
        for name, field in self.fields.items():
            if name != "sites":
                field.error_messages["required"] = "Fill this in."
        expiry = timezone.now() + DEFAULT_LIFETIME
        self.fields["expires_on"].initial = expiry.date().isoformat()

    @property
    def parameters(self) -> list[forms.BoundField]:
        """The fields of the class's parameters, in the order of its declaration."""
        return [self[name] for name in self.fields if name.startswith(PREFIX)]

    def clean_epsilon(self) -> str:
        """Return epsilon as the plan writes it: a plain decimal, which is never a float."""
        written: str = self.cleaned_data["epsilon"]
        try:
            value = epsilon_from_decimal(written)
        except ValueError:
            raise forms.ValidationError("Write a positive decimal number such as 0.5.") from None
        if value > Fraction(self.declaration.maximum_epsilon):
            most = self.declaration.maximum_epsilon
            raise forms.ValidationError(f"This class allows at most {most}.")
        return written

    def clean_sites(self) -> list[str]:
        """Return the sites in the order of the parties."""
        chosen: list[str] = self.cleaned_data["sites"]
        least = self.declaration.minimum_sites
        if len(chosen) < least:
            raise forms.ValidationError(f"This class needs at least {least} sites.")
        return chosen

    def clean_expires_on(self) -> date:
        """Return the day, which is not over yet."""
        day: date = self.cleaned_data["expires_on"]
        if day < timezone.now().date():
            raise forms.ValidationError("This day is over. Choose a later one.")
        return day

    def clean(self) -> dict[str, Any]:
        """Return the fields; the declaration has checked the parameters as a whole."""
        cleaned = super().clean() or {}
        broken = [name for name in self.errors if name.startswith(PREFIX)]
        if not broken:
            try:
                self.declaration.validate_parameters(_parameters(cleaned))
            except ParameterError as error:
                self.add_problem(f"$.parameters.{error.field}", str(error).partition(": ")[2])
        return cleaned

    def plan(self, cohort: Mapping[str, Any]) -> dict[str, Any]:
        """Return the plan's fields that this valid form and `cohort` make."""
        chosen = self.cleaned_data
        midnight = datetime.combine(chosen["expires_on"], time(23, 59, 59), tzinfo=UTC)
        return {
            **{name: chosen[name] for name in _AS_WRITTEN},
            "class": {"name": self.declaration.name, "version": self.declaration.version},
            "parameters": _parameters(chosen),
            "cohort": dict(cohort),
            "privacy": {"epsilon": chosen["epsilon"]},
            "expires_at": format_moment(midnight),
        }

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Show what `studies.plan` found, each beside its field."""
        for problem in problems:
            self.add_problem(problem.field, f"expected {problem.expected}, came {problem.came}")

    def add_problem(self, where: str, sentence: str) -> None:
        """Show a problem of the plan at `where`, as in ``$.parameters.bins``, at its field."""
        field = self._field_at(where)
        shown = sentence[:1].upper() + sentence[1:].rstrip(".") + "."
        self.add_error(field, shown if field else f"{where.removeprefix('$.')}: {shown}")

    def _field_at(self, where: str) -> str | None:
        if where.startswith("$.parameters."):
            name = where.removeprefix("$.parameters.").partition("[")[0].partition(".")[0]
            return field_name(name) if field_name(name) in self.fields else None
        top = "$." + where.removeprefix("$.").partition("[")[0].partition(".")[0]
        found = _FIELD_OF.get(top, top.removeprefix("$."))
        return found if found in self.fields else None


def initial_of(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the form shows for a plan that exists."""
    return {
        **{name: plan[name] for name in _AS_WRITTEN},
        "epsilon": plan["privacy"]["epsilon"],
        "expires_on": parse_moment(plan["expires_at"]).date().isoformat(),
        **{field_name(name): value for name, value in plan["parameters"].items()},
    }


def _parameters(cleaned: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that were given; an empty optional one is left out."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in cleaned.items()
        if name.startswith(PREFIX) and value not in (None, "", [])
    }
