"""The page on which a plan is written: the form, its rows, and what to know while filling it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundWidget
from django.http import QueryDict

from accounts.models import Site
from studies.catalogue import CATALOGUE, Declaration
from studies.pages.criteria_forms import Criteria, criteria_rows, rows_of, rows_typed
from studies.pages.forms import PlanForm, initial_of
from studies.pages.noise_forecast import NoiseForecast, forecasts, numbers_opened
from studies.pages.parameter_fields import PREFIX, PairsField


@dataclass(frozen=True)
class SiteChoice:
    """One site to tick, and the data sets that its agent has registered."""

    checkbox: BoundWidget
    slug: str
    enrolled: bool
    data_sets: Sequence[Mapping[str, Any]]


@dataclass
class PlanPage:
    """The form of one plan and everything that stands around it."""

    declaration: Declaration
    form: PlanForm
    rows: Criteria
    sites: Sequence[Site]

    @property
    def site_choices(self) -> list[SiteChoice]:
        """The sites to choose from, in the order of the parties."""
        return [
            SiteChoice(checkbox, site.slug, bool(site.identity_key), site.data_sets)
            for checkbox, site in zip(self.form["sites"], self.sites, strict=True)
        ]

    @property
    def data_set_names(self) -> dict[str, list[str]]:
        """Every registered data set, with the sites that have one of that name."""
        found: dict[str, list[str]] = {}
        for site in self.sites:
            for data_set in site.data_sets:
                found.setdefault(data_set["name"], []).append(site.slug)
        return dict(sorted(found.items()))

    @property
    def columns(self) -> list[str]:
        """Every column that some site has registered."""
        data_sets = (data_set for site in self.sites for data_set in site.data_sets)
        return sorted({column for data_set in data_sets for column in data_set["columns"]})

    @property
    def noise(self) -> list[NoiseForecast]:
        """The noise at the epsilon that the form shows, among others."""
        chosen = self.form["sites"].value() or [site.slug for site in self.sites]
        return noise_at(
            self.declaration,
            epsilon=str(self.form["epsilon"].value() or ""),
            sites=str(len(chosen)),
            max_sites_per_person=str(self.form["max_sites_per_person"].value() or ""),
        )

    @property
    def numbers(self) -> int | None:
        """How many noised numbers a run opens, as far as the parameters shown say."""
        return numbers_opened(self.declaration, _parameters_shown(self.form))

    def is_valid(self) -> bool:
        """Check the form and every row, so that everything wrong is shown at once."""
        return all([self.form.is_valid(), self.rows.is_valid()])

    def plan(self) -> dict[str, Any]:
        """Return the plan's fields that the valid form and rows make."""
        return self.form.plan(self.rows.cohort())


def plan_page(
    declaration: Declaration,
    *,
    data: QueryDict | None = None,
    plan: Mapping[str, Any] | None = None,
) -> PlanPage:
    """Return the page, bound to what was posted, or showing `plan`, or empty."""
    sites = known_sites()
    if data is not None:
        form = PlanForm(data, declaration=declaration, sites=sites)
        return PlanPage(declaration, form, criteria_rows(declaration, data), sites)
    initial = {} if plan is None else initial_of(plan)
    rows = [] if plan is None else rows_of(plan["cohort"])
    return _showing(declaration, initial, rows, sites)


def retyped_page(declaration: Declaration, data: QueryDict) -> PlanPage:
    """Return the page with everything as it was typed, unchecked: for another class, or more rows.

    What was typed for a parameter stays where the class has one of that name.
    """
    initial: dict[str, Any] = {name: data.get(name) for name in data if name != "sites"}
    initial["sites"] = data.getlist("sites")
    return _showing(declaration, initial, rows_typed(data), known_sites())


def noise_at(
    declaration: Declaration, *, epsilon: str, sites: str, max_sites_per_person: str
) -> list[NoiseForecast]:
    """Return the noise for what somebody has typed so far; what makes no sense is left out."""
    chosen = int(sites) if sites.isdecimal() else 0
    persons = int(max_sites_per_person) if max_sites_per_person.isdecimal() else 1
    return forecasts(
        declaration,
        epsilon,
        sites=min(max(chosen, declaration.minimum_sites), 20),
        max_sites_per_person=min(max(persons, 1), 20),
    )


def declaration_called(identifier: str) -> Declaration | None:
    """Return the class of the catalogue called so, as in ``kaplan-meier/1``; None for another."""
    return CATALOGUE.get(identifier)


def known_sites() -> list[Site]:
    """Return every site, in the order of the parties."""
    return list(Site.objects.select_related("organisation").order_by("slug"))


def _showing(
    declaration: Declaration,
    initial: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    sites: Sequence[Site],
) -> PlanPage:
    form = PlanForm(initial=dict(initial), declaration=declaration, sites=sites)
    return PlanPage(declaration, form, criteria_rows(declaration, initial=rows), sites)


def _parameters_shown(form: PlanForm) -> dict[str, Any]:
    found = {}
    for name, field in form.fields.items():
        shown = form[name].value() if name.startswith(PREFIX) else None
        if shown in (None, ""):
            continue
        if isinstance(field, PairsField):
            shown = field.to_python(field.prepare_value(shown))
        elif isinstance(field, forms.IntegerField) and str(shown).isdecimal():
            shown = int(shown)
        found[name.removeprefix(PREFIX)] = shown
    return found
