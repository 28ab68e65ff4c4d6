"""Declaration of ``cohort-count/1``: how many persons belong to a cohort, over all sites."""

from __future__ import annotations

from typing import Any

from studies.catalogue.declaration import Card, Declaration, Echo, Output, Parameters, Sizes

SUPPRESSION_THRESHOLD = 11

PARAMETER_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Parameters of cohort-count/1",
    "type": "object",
    "properties": {
        "suppress_below": {
            "description": "A stricter small-number threshold than the class's, in persons.",
            "type": "integer",
            "minimum": SUPPRESSION_THRESHOLD,
            "maximum": 1_000_000,
        },
    },
    "additionalProperties": False,
}

CARD = Card(
    what_is_computed=(
        "How many persons, at all sites together, meet the criteria of the cohort. A record "
        "counts only if it starts within the person's observation period. Somebody who is a "
        "patient of two sites is counted twice."
    ),
    who_learns_what=(
        "The recipient learns one number: the total with noise added. Nobody, neither another "
        "site nor the portal, learns how many of the persons are at which site, nor whether a "
        "site has any, nor the exact total."
    ),
    security_model=(
        "Profile additive. Inputs stay hidden even if all other sites act together, as long as "
        "everyone follows the protocol (semi-honest). A site that lies about its own count can "
        "falsify the total, and nobody would notice."
    ),
    noise=(
        "Every site adds its own share of discrete Laplace noise before anything is opened, "
        "enough that all shares but one already protect every single person at the epsilon of "
        "the plan. If more than one site gives its noise away, epsilon no longer holds; the sites' "
        "own counts still stay hidden. One person more or less changes the exact total by 1. The "
        "noise's standard deviation is printed beside the count."
    ),
    suppression=(
        "A noised total under 11, or under the plan's own stricter threshold, is shown as "
        "'suppressed', never as 0. The rule is applied inside the computation, to the noised "
        "number: one that is too small is never opened, and nobody learns which it was. The exact "
        "number decides nothing."
    ),
    cost=(
        "About twenty rounds: one sum and one comparison of a hidden number. Each site sends "
        "about 55 kB to every other site, most of it to make the multiplication triples that the "
        "comparison takes, and 8 bytes to the recipient. "
        "Each site's budget is charged the plan's epsilon, whatever comes out."
    ),
)


def _sizes(parameters: Parameters) -> Sizes:
    del parameters
    return Sizes(cells=1, rows=1, columns=1, opened=1)


def _nothing_further(parameters: Parameters) -> None:
    del parameters


COHORT_COUNT = Declaration(
    name="cohort-count",
    version=1,
    title="Cohort count",
    card=CARD,
    parameter_schema=PARAMETER_SCHEMA,
    outputs=(
        Output(
            "count",
            "noised number of persons in the cohort, or 'suppressed'",
            "persons",
            "discrete Laplace",
        ),
        Output(
            "interval.lower",
            "lower end of the interval for the exact count, or 'suppressed'",
            "persons",
            "post-processing",
        ),
        Output(
            "interval.upper",
            "upper end of the interval for the exact count, or 'suppressed'",
            "persons",
            "post-processing",
        ),
    ),
    echoes=(
        Echo("analysis", "the class", "text"),
        Echo("unit", "unit of the count", "text"),
        Echo("noise.mechanism", "how noise was made; 'none (rehearsal)' without noise", "text"),
        Echo("noise.epsilon", "epsilon of the plan", "decimal text"),
        Echo("noise.sensitivity", "how far one person moves the exact count", "persons"),
        Echo("noise.parties", "how many parties added a noise share", "parties"),
        Echo("noise.collusion_bound", "how many noise shares may be given away", "parties"),
        Echo(
            "noise.cell_standard_deviation",
            "standard deviation of the noise in one number",
            "persons",
        ),
        Echo("suppress_below", "the smallest noised count that is shown", "persons"),
        Echo("count_noise_sd", "standard deviation of the noise in the count", "persons"),
        Echo("interval.confidence", "level of the interval", "decimal text"),
    ),
    profile="additive",
    data_models=("omop", "table"),
    minimum_sites=3,
    minimum_cohort=0,
    maximum_epsilon="1",
    noise_collusion_bound=1,
    output_checks=0,
    suppression_threshold=SUPPRESSION_THRESHOLD,
    suggested_plot="single figure",
    sizes_of=_sizes,
    further_checks=_nothing_further,
)
