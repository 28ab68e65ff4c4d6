"""Declaration of ``kaplan-meier/1``: survival curves by group, with a log-rank test."""

from __future__ import annotations

from typing import Any

from studies.catalogue.declaration import Card, Declaration, ParameterError, Parameters, Sizes
from studies.catalogue.kaplan_meier_outputs import ECHOES, OUTPUTS
from studies.documents import COLUMN

PARAMETER_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Parameters of kaplan-meier/1",
    "type": "object",
    "properties": {
        "time": {"description": "Column with the time to event or censoring.", **COLUMN},
        "event": {"description": "Column that is 1 for the event, 0 for censored.", **COLUMN},
        "group": {"description": "Column that says which group a person is in.", **COLUMN},
        "groups": {
            "description": "The groups to compare: the column's value, and what to call it.",
            "type": "array",
            "minItems": 1,
            "maxItems": 8,
            "items": {
                "type": "object",
                "properties": {
                    "value": {"type": "string", "minLength": 1, "maxLength": 64},
                    "label": {"type": "string", "minLength": 1, "maxLength": 64},
                },
                "required": ["value", "label"],
                "additionalProperties": False,
            },
        },
        "bin_width": {
            "description": "Width of a time bin, in the unit of time.",
            "type": "integer",
            "minimum": 1,
            "maximum": 3650,
        },
        "bins": {
            "description": "Number of time bins.",
            "type": "integer",
            "minimum": 1,
            "maximum": 4000,
        },
        "unit": {"description": "Unit of time.", "enum": ["days"]},
    },
    "required": ["time", "event", "group", "groups", "bin_width", "bins", "unit"],
    "additionalProperties": False,
}

CARD = Card(
    what_is_computed=(
        "Survival curves of up to eight groups on a grid of time bins that the plan declares, "
        "with numbers at risk, medians, 95% intervals and a log-rank test. Bins one day wide give "
        "the Kaplan-Meier curve; wider bins give the life-table curve, which counts half of those "
        "censored within a bin as exposed in it. Everybody whose time lies beyond the last bin "
        "counts as censored in it. Left out are persons of no declared group, and persons whose "
        "time is missing or negative or whose event is neither 0 nor 1."
    ),
    who_learns_what=(
        "The recipient learns, for all sites together, a table of counts by group, time bin and "
        "outcome with noise added to every cell, and what can be computed from it. Nobody learns "
        "another site's table, an exact total, or an event time finer than a bin."
    ),
    security_model=(
        "Profile additive. Inputs stay hidden even if all other sites act together, as long as "
        "everyone follows the protocol (semi-honest). A site that lies about its own table can "
        "falsify the result, and nobody would notice."
    ),
    noise=(
        "Every person is in exactly one cell of the table, so one person more or less changes it "
        "by 1. Every site adds its own share of discrete Laplace noise to every cell before "
        "anything is opened, enough that all shares but one already protect every single person "
        "at the epsilon of the plan. If more than one site gives its noise away, epsilon no "
        "longer holds; the sites' own tables still stay hidden. Curves, intervals and test are "
        "computed from the noised table at no further cost. Intervals and test include the noise, "
        "and the noise's standard deviation is printed beside every figure. Near the end "
        "of a curve, where the rule for small numbers decides on a noised number, intervals are "
        "somewhat too narrow. The more bins, the more noise a curve gathers: few wide bins serve "
        "a small study best."
    ),
    suppression=(
        "A curve ends with the last bin after which 11 persons or more are still at risk, in "
        "noised numbers; exact numbers decide nothing. The rule is applied inside the "
        "computation: whatever lies behind that bin is never opened, neither by the release gate "
        "nor by anybody else, and cannot be worked out from what is. In the bins of the curve, "
        "single cells under 11 are printed as 'suppressed', never as 0; that is a rule of reading, "
        "because the curve itself determines them. The test ends every group with its curve; it "
        "is not shown when a group is hidden, nor on fewer than 500 persons at an epsilon of 1 "
        "or less, where it would mostly measure the noise."
    ),
    cost=(
        "About twenty rounds: one sum and, with G groups and J bins, G J comparisons of hidden "
        "numbers. Among three sites each sends every other one about 3 kB a comparison and 16 "
        "(G J + G) bytes to the recipient. Each site's budget is charged the plan's epsilon, once "
        "for all curves and the test, whatever comes out."
    ),
)


def _sizes(parameters: Parameters) -> Sizes:
    """Groups times two outcomes (event, censored) times bins; two more a group are opened."""
    groups, bins = len(parameters["groups"]), int(parameters["bins"])
    return Sizes(cells=groups * 2 * bins, rows=groups, columns=bins, opened=groups * (2 + 2 * bins))


def _check_names(parameters: Parameters) -> None:
    columns = [parameters[name] for name in ("time", "event", "group")]
    if len(set(columns)) != len(columns):
        raise ParameterError("group", "expected three different columns for time, event and group")
    for part, called in (("value", "value"), ("label", "name")):
        texts = [_canonical(group[part]) for group in parameters["groups"]]
        for index, text in enumerate(texts):
            if text in texts[:index]:
                raise ParameterError(
                    f"groups[{index}].{part}",
                    f"expected groups that differ, got two groups with the same {called}",
                )


def _canonical(text: str) -> str:
    """Return one spelling for texts that a site takes for the same value ("1" and "1.0")."""
    try:
        return repr(float(text))
    except ValueError:
        return text.strip()


KAPLAN_MEIER = Declaration(
    name="kaplan-meier",
    version=1,
    title="Kaplan-Meier by arm, with log-rank",
    card=CARD,
    parameter_schema=PARAMETER_SCHEMA,
    outputs=OUTPUTS,
    echoes=ECHOES,
    profile="additive",
    data_models=("table",),
    minimum_sites=3,
    minimum_cohort=20,
    maximum_epsilon="2",
    noise_collusion_bound=1,
    output_checks=2,
    suppression_threshold=11,
    suggested_plot="step curve",
    sizes_of=_sizes,
    further_checks=_check_names,
)
