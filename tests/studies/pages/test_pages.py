"""Writing a study plan in the browser: every class has its form, and nothing typed is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from accounts.models import Site
from studies import catalogue, cohorts
from studies.actions import plan_of
from studies.models import Study
from studies.pages.criteria_forms import criteria_rows, rows_of
from studies.pages.forms import PlanForm
from studies.pages.noise_forecast import forecast
from studies.pages.parameter_fields import parameter_fields
from studies.pages.plan_page import noise_at, plan_page
from tests.factories.portal import House

pytestmark = pytest.mark.django_db

IN_A_MONTH = (timezone.now() + timedelta(days=30)).date()
ANSWERS: dict[str, Any] = {
    "step": "save",
    "computation_class": "kaplan-meier/1",
    "title": "Survival by sex",
    "purpose": "To compare survival.",
    "purpose_category": "clinical_trial",
    "lay_summary": "Do women live longer?",
    "parameter_time": "time",
    "parameter_event": "status",
    "parameter_group": "sex",
    "parameter_groups": "1 = Male\r\n\r\n2 = Female",
    "parameter_bin_width": "90",
    "parameter_bins": "12",
    "parameter_unit": "days",
    "data_set": "lung",
    "sites": ["alder", "birch", "cedar"],
    "max_sites_per_person": "1",
    "epsilon": "1.5",
    "max_runs": "2",
    "expires_on": IN_A_MONTH.isoformat(),
    "mode": "study",
    "criteria-TOTAL_FORMS": "2",
    "criteria-INITIAL_FORMS": "0",
    "criteria-0-use": "include",
    "criteria-0-kind": "between",
    "criteria-0-column": "age",
    "criteria-0-at_least": "18",
    "criteria-1-use": "exclude",
    "criteria-1-kind": "",
}


@pytest.fixture
def author(house: House) -> Client:
    client = Client()
    client.force_login(house.pi)
    return client


def posted(**changes: Any) -> dict[str, Any]:
    return {**ANSWERS, **changes}


def bound(**changes: Any) -> PlanForm:
    data = QueryDict(mutable=True)
    for name, value in posted(**changes).items():
        data.setlist(name, value if isinstance(value, list) else [value])
    page = plan_page(catalogue.get("kaplan-meier", 1), data=data)
    page.is_valid()
    return page.form


def test_what_is_typed_becomes_the_plan(author: Client) -> None:
    answer = author.post("/studies/new/", posted())
    study = Study.objects.get()
    assert answer.headers["Location"] == f"/studies/{study.identifier}/"
    plan = plan_of(study.current).to_json()
    assert plan["parameters"]["groups"] == [
        {"value": "1", "label": "Male"},
        {"value": "2", "label": "Female"},
    ]
    assert plan["parameters"]["bins"] == 12
    assert plan["cohort"] == {
        "include": [{"kind": "column", "column": "age", "at_least": 18}],
        "exclude": [],
    }
    assert plan["privacy"] == {"currency": "micro-epsilon", "epsilon": "1.5"}
    assert plan["expires_at"] == f"{IN_A_MONTH.isoformat()}T23:59:59Z"
    assert plan["sites"] == ["alder", "birch", "cedar"]


def test_saving_a_draft_unchanged_keeps_its_every_choice(author: Client, house: House) -> None:
    author.post("/studies/new/", posted())
    study = Study.objects.get()
    page = author.get(f"/studies/{study.identifier}/edit/").context["page"]
    shown = {bound.html_name: bound.value() for bound in page.form}
    shown["parameter_groups"] = page.form["parameter_groups"].field.prepare_value(
        shown["parameter_groups"]
    )
    rows = {field.html_name: field.value() or "" for row in page.rows for field in row}
    again = {**shown, **rows, "computation_class": "kaplan-meier/1", "step": "save"}
    again |= {"criteria-TOTAL_FORMS": len(page.rows.forms), "criteria-INITIAL_FORMS": 1}
    before = study.current.digest
    author.post(f"/studies/{study.identifier}/edit/", again)
    assert Study.objects.get().current.digest == before


def test_everything_wrong_is_said_at_its_field_and_nothing_typed_is_lost(author: Client) -> None:
    wrong = posted(
        title="",
        epsilon="3",
        sites=["alder"],
        parameter_bins="many",
        parameter_time="1st",
        data_set="No Such Name",
        **{"criteria-0-column": "9"},
    )
    answer = author.post("/studies/new/", wrong)
    assert answer.status_code == 200
    assert not Study.objects.exists()
    errors = answer.context["page"].form.errors
    assert set(errors) == {"title", "epsilon", "sites", "parameter_bins", "parameter_time"}
    assert answer.context["page"].rows.forms[0].errors["column"]
    html = answer.content.decode()
    for typed in ("many", "1st", "No Such Name", "To compare survival.", "1 = Male"):
        assert typed in html
    assert '<a href="#id_title">' in html


def test_what_only_the_plan_itself_refuses_is_said_at_its_field_too(author: Client) -> None:
    answer = author.post("/studies/new/", posted(data_set="No Such Name", max_sites_per_person="4"))
    errors = answer.context["page"].form.errors
    assert "data_set" in errors
    answer = author.post("/studies/new/", posted(max_sites_per_person="4"))
    assert set(answer.context["page"].form.errors) == {"max_sites_per_person"}


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("epsilon", "-1", "positive decimal"),
        ("epsilon", "1e-3", "positive decimal"),
        ("epsilon", "2.5", "at most 2"),
        ("expires_on", "2020-01-01", "is over"),
        ("parameter_groups", "1 = Male\n1 = Female", "two groups with the same value"),
        ("parameter_groups", "", "at least one line"),
        ("parameter_event", "time", "three different columns"),
        ("parameter_bin_width", "0", "greater than or equal to 1"),
    ],
)
def test_what_a_field_says(house: House, field: str, typed: str, said: str) -> None:
    errors = bound(**{field: typed}).errors
    at = "parameter_group" if field == "parameter_event" else field
    assert said in " ".join(errors[at])


def test_another_class_keeps_what_was_typed(author: Client) -> None:
    answer = author.post(
        "/studies/new/", posted(step="class", computation_class="cohort-count/1", title="Mine")
    )
    assert answer.status_code == 200
    form = answer.context["page"].form
    assert not form.is_bound
    assert [field.label for field in answer.context["page"].form.parameters] == ["Suppress below"]
    assert (form["title"].value(), form["sites"].value()) == ("Mine", ANSWERS["sites"])
    assert answer.context["page"].rows.forms[0]["at_least"].value() == "18"


def test_more_rows_keep_those_that_are_filled_in(author: Client) -> None:
    page = author.post("/studies/new/", posted(step="rows", epsilon="wrong")).context["page"]
    assert len(page.rows.forms) == 3
    assert page.rows.forms[0]["column"].value() == "age"
    assert page.form["epsilon"].value() == "wrong"


@pytest.mark.parametrize("identifier", sorted(catalogue.CATALOGUE))
def test_every_class_has_a_field_for_each_parameter(author: Client, identifier: str) -> None:
    declaration = catalogue.CATALOGUE[identifier]
    names = {f"parameter_{name}" for name in declaration.parameter_schema["properties"]}
    assert set(parameter_fields(declaration)) == names
    html = author.get(f"/studies/new/?class={identifier}").content.decode()
    for name in names:
        assert f'for="id_{name}"' in html


@pytest.mark.parametrize(
    ("identifier", "cohort"),
    [
        (
            "cohort-count/1",
            {
                "include": [
                    {"kind": "any_record", "domain": "drug_era", "concepts": [1, 2]},
                    {"kind": "gender", "concepts": [8532]},
                ],
                "exclude": [{"kind": "column", "column": "age", "at_most": 17}],
            },
        ),
        (
            "kaplan-meier/1",
            {
                "include": [{"kind": "column", "column": "stage", "equals": "II"}],
                "exclude": [{"kind": "column", "column": "age", "at_least": 0, "at_most": 9}],
            },
        ),
    ],
)
def test_criteria_come_back_as_they_were(identifier: str, cohort: dict[str, Any]) -> None:
    assert cohorts.parse(cohort).to_json() == cohort
    declaration = catalogue.CATALOGUE[identifier]
    shown = rows_of(cohort)
    data = {"criteria-TOTAL_FORMS": len(shown), "criteria-INITIAL_FORMS": 0}
    for number, row in enumerate(shown):
        data |= {f"criteria-{number}-{name}": value for name, value in row.items()}
    rows = criteria_rows(declaration, data)
    assert rows.is_valid(), rows.errors
    assert rows.cohort() == cohort


def test_the_noise_shown_is_that_of_the_sites_and_epsilon_typed(author: Client) -> None:
    query = {"class": "kaplan-meier/1", "epsilon": "0.7", "sites": "5", "max_sites_per_person": "2"}
    answer = author.get("/studies/noise/", query)
    chosen = next(each for each in answer.context["forecasts"] if each.chosen)
    declaration = catalogue.get("kaplan-meier", 1)
    assert chosen == forecast(declaration, "0.7", sites=5, max_sites_per_person=2, chosen=True)
    assert f"{chosen.per_number:.1f} persons" in answer.content.decode()


@pytest.mark.parametrize("typed", ["", "nonsense", "-1", "9", "²"])
def test_nonsense_shows_the_noise_of_others_and_chooses_none(typed: str) -> None:
    declaration = catalogue.get("kaplan-meier", 1)
    found = noise_at(declaration, epsilon=typed, sites=typed, max_sites_per_person=typed)
    assert [each.epsilon for each in found] == ["0.1", "0.25", "0.5", "1", "2"]
    assert not any(each.chosen for each in found)


def test_each_site_shows_the_data_sets_that_its_agent_registered(
    author: Client, house: House
) -> None:
    registered = [{"name": "lung", "kind": "public", "columns": ["time", "sex"]}]
    Site.objects.filter(slug="birch").update(data_sets=registered)
    html = author.get("/studies/new/?class=kaplan-meier/1").content.decode()
    assert "lung: public, 2 columns" in html
    assert html.count("has registered no data set yet") == 2
    assert '<option value="sex">' in html


def test_nobody_edits_the_draft_of_another_or_what_is_submitted(
    author: Client, house: House
) -> None:
    study = house.study_in_review()
    answer = author.get(f"/studies/{study.identifier}/edit/", follow=True)
    assert "can no longer be replaced" in answer.content.decode()
    stranger = Client()
    stranger.force_login(house.people["m-ruth"])
    assert stranger.get(f"/studies/{study.identifier}/edit/").status_code == 403


def test_an_unknown_class_is_not_found(author: Client) -> None:
    assert author.get("/studies/new/?class=nothing/1").status_code == 404
    assert author.get("/studies/noise/?class=nothing/1").status_code == 404
