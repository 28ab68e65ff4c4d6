"""What computation classes declare, and what they refuse."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from audit import canonical
from studies import catalogue
from studies.catalogue import CATALOGUE, Declaration, ParameterError
from studies.catalogue.export import export
from workers.analyses.registry import ANALYSES

KAPLAN_MEIER = catalogue.get("kaplan-meier", 1)
COHORT_COUNT = catalogue.get("cohort-count", 1)


def demo_parameters(**changes: Any) -> dict[str, Any]:
    """Return the demo's parameters of kaplan-meier/1, changed; None takes a field away."""
    parameters = {
        "time": "time",
        "event": "event",
        "group": "sex",
        "groups": [{"value": "1", "label": "Male"}, {"value": "2", "label": "Female"}],
        "bin_width": 90,
        "bins": 12,
        "unit": "days",
        **changes,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def test_what_is_declared_can_be_computed_and_the_other_way_round() -> None:
    assert CATALOGUE.keys() == ANALYSES.keys()


@pytest.mark.parametrize("declaration", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_a_class_document_is_canonical_and_its_digest_is_that_of_the_bytes(
    declaration: Declaration, tmp_path: Path
) -> None:
    files = {path.name: path for path in export(tmp_path)}
    written = files[f"{declaration.identifier.replace('/', '-')}.json"].read_bytes()

    assert hashlib.sha256(written).hexdigest() == declaration.digest
    assert canonical.loads(written) == declaration.to_json()
    exported = catalogue.class_documents()[declaration.identifier]
    assert exported == {"digest": declaration.digest, "document": json.loads(written)}


@pytest.mark.parametrize("declaration", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_the_card_answers_every_question_in_words(declaration: Declaration) -> None:
    card = declaration.to_json()["card"]
    assert set(card) == {
        "what_is_computed",
        "who_learns_what",
        "security_model",
        "noise",
        "suppression",
        "cost",
    }
    assert all(len(text.split()) > 15 for text in card.values())
    assert "semi-honest" in card["security_model"]
    assert str(declaration.suppression_threshold) in card["suppression"]


@pytest.mark.parametrize("declaration", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_no_key_is_documented_twice(declaration: Declaration) -> None:
    names = [item.name for item in (*declaration.outputs, *declaration.echoes)]
    assert len(names) == len(set(names))


def test_an_unknown_class_is_refused_with_those_that_exist() -> None:
    with pytest.raises(KeyError, match="kaplan-meier/1"):
        catalogue.get("kaplan-meier", 2)


def test_the_demo_parameters_are_allowed() -> None:
    KAPLAN_MEIER.validate_parameters(demo_parameters())
    COHORT_COUNT.validate_parameters({})
    COHORT_COUNT.validate_parameters({"suppress_below": 20})


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        (demo_parameters(bins=0), "bins"),
        (demo_parameters(bins=4001), "bins"),
        (demo_parameters(bins="12"), "bins"),
        (demo_parameters(bins=12.5), "bins"),
        (demo_parameters(bin_width=0), "bin_width"),
        (demo_parameters(unit="months"), "unit"),
        (demo_parameters(time=None), "time"),
        (demo_parameters(time="time; drop table"), "time"),
        (demo_parameters(event="time"), "group"),
        (demo_parameters(colour="red"), "colour"),
        (demo_parameters(groups=[]), "groups"),
        (demo_parameters(groups=[{"value": "1"}]), "groups[0].label"),
        (demo_parameters(groups=[{"value": 1, "label": "Male"}]), "groups[0].value"),
        (
            demo_parameters(groups=[{"value": str(n), "label": str(n)} for n in range(9)]),
            "groups",
        ),
        (
            demo_parameters(
                groups=[{"value": "1", "label": "Male"}, {"value": "1.0", "label": "Men"}]
            ),
            "groups[1].value",
        ),
        (
            demo_parameters(
                groups=[{"value": "1", "label": "Male"}, {"value": "2", "label": "Male"}]
            ),
            "groups[1].label",
        ),
        ([], "parameters"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(parameters: Any, field: str) -> None:
    with pytest.raises(ParameterError) as refused:
        KAPLAN_MEIER.validate_parameters(parameters)
    assert refused.value.field == field
    assert "expected" in str(refused.value)


@pytest.mark.parametrize(("part", "called"), [("value", "value"), ("label", "name")])
def test_groups_that_do_not_differ_are_told_so_in_plain_words(part: str, called: str) -> None:
    groups = [{"value": "1", "label": "Male"}, {"value": "2", "label": "Female"}]
    groups[1][part] = groups[0][part]
    with pytest.raises(ParameterError, match=f"got two groups with the same {called}$"):
        KAPLAN_MEIER.validate_parameters(demo_parameters(groups=groups))


def test_a_declaration_tells_which_parameters_name_columns() -> None:
    """`unit` and the groups' values are texts too, and name none."""
    assert KAPLAN_MEIER.columns(demo_parameters(event="status")) == ["time", "status", "sex"]
    assert COHORT_COUNT.columns({"suppress_below": 20}) == []


def test_a_laxer_small_number_threshold_is_refused() -> None:
    with pytest.raises(ParameterError) as refused:
        COHORT_COUNT.validate_parameters({"suppress_below": 10})
    assert refused.value.field == "suppress_below"


@pytest.mark.parametrize(("sites", "rounds"), [(2, 17), (3, 19), (10, 25)])
def test_the_forecast_follows_the_parameters(sites: int, rounds: int) -> None:
    parameters = demo_parameters()
    forecast = KAPLAN_MEIER.forecast(parameters, sites)
    assert forecast.cells == KAPLAN_MEIER.cells(parameters) == 48
    assert forecast.comparisons == 2 * 12
    assert forecast.rounds == rounds
    assert forecast.bytes_opened_per_party == 8 * (48 + 2 * 2)
    larger = KAPLAN_MEIER.forecast({**parameters, "bins": 1200}, sites)
    assert larger.bytes_sent_per_party > 20 * forecast.bytes_sent_per_party
