"""Cases P14, P15 and P24: counts on OMOP tables over three hospitals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from studies.catalogue import get as declared
from tests.workers.analyses import hospitals
from workers.analyses import registry
from workers.analyses.errors import NoisedTableError
from workers.analyses.printed import SUPPRESSED
from workers.analyses.release_noise import ReleaseNoise
from workers.analyses.site_data import OmopTables, pool
from workers.mpc.protocol import Message

COUNT = registry.get("cohort-count/1")


def having(domain: str, *concepts: int) -> dict[str, Any]:
    criterion = {"kind": "any_record", "domain": domain, "concepts": list(concepts)}
    return {"include": [criterion], "exclude": []}


def of_gender(concept: int) -> dict[str, Any]:
    return {"include": [{"kind": "gender", "concepts": [concept]}], "exclude": []}


P14: dict[str, list[dict[str, Any]]] = {
    "persons": [{"include": [], "exclude": []}],
    "persons_by_gender_8507_8532": [of_gender(8507), of_gender(8532)],
    "condition:192671 Gastrointestinal hemorrhage": [having("condition_occurrence", 192671)],
    "condition:4027663 Peptic ulcer": [having("condition_occurrence", 4027663)],
    "condition:80180 Osteoarthritis": [having("condition_occurrence", 80180)],
    "condition:4329847 Myocardial infarction": [having("condition_occurrence", 4329847)],
    "condition:80809 Rheumatoid arthritis": [having("condition_occurrence", 80809)],
    "condition:317009 Asthma": [having("condition_occurrence", 317009)],
    "condition:381316 Cerebrovascular accident": [having("condition_occurrence", 381316)],
    "drug_era:1118084 celecoxib": [having("drug_era", 1118084)],
    "drug_era:1124300 Diclofenac": [having("drug_era", 1124300)],
    "drug_era:1177480 Ibuprofen": [having("drug_era", 1177480)],
    "drug_era:1115008 Naproxen": [having("drug_era", 1115008)],
    "nsaid_union_celecoxib_or_diclofenac": [having("drug_era", 1118084, 1124300)],
    "gibleed_female": [
        {
            "include": [
                {"kind": "any_record", "domain": "condition_occurrence", "concepts": [192671]},
                {"kind": "gender", "concepts": [8532]},
            ],
            "exclude": [],
        }
    ],
}


@pytest.mark.parametrize("key", P14)
def test_secure_counts_are_the_published_ones_of_case_p14(key: str) -> None:
    cohorts = P14[key]
    answers = [int(hospitals.run(COUNT, hospitals.gibleed(), cohort, {})[0]) for cohort in cohorts]
    pooled = pool(hospitals.gibleed())

    assert answers == [COUNT.twin(pooled, cohort, {})["count"] for cohort in cohorts]
    item = hospitals.case("P14")[key]
    assert hospitals.agrees(answers if len(answers) > 1 else answers[0], item)


def test_records_outside_the_observation_period_do_not_count() -> None:
    """The rule that changes a tenth of the counts: without it, more persons have a record."""
    osteoarthritis = 80180
    within = int(
        hospitals.run(
            COUNT, hospitals.gibleed(), having("condition_occurrence", osteoarthritis), {}
        )[0]
    )
    anywhere = sum(
        len(np.unique(site.condition_occurrence["person_id"][chosen]))
        for site in hospitals.gibleed()
        for chosen in [site.condition_occurrence["condition_concept_id"] == osteoarthritis]
    )
    assert within == 2630
    assert anywhere > within


def test_the_small_cell_rule_of_case_p15() -> None:
    case = hospitals.case("P15")
    released = {}
    for name in case["released"]["value"]:
        cohort = having("condition_occurrence", int(name.split(" ")[0]))
        exact = hospitals.run(COUNT, hospitals.gibleed(), cohort, {})
        assert exact.tolist() == [case["true_counts_test_only"]["value"][name]]
        opened = hospitals.run(COUNT, hospitals.gibleed(), cohort, {}, suppress_below=11)
        assert opened[0] == (exact[0] if exact[0] >= 11 else 0), "hidden before it is opened"
        released[name] = COUNT.finish(opened, {}, None, suppress_below=11)["count"]
    assert released == case["released"]["value"]


def test_a_site_without_any_such_person_sends_as_much_as_the_others() -> None:
    shapes = set()
    for concept in (
        *hospitals.case("P15")["conditions_absent_from_at_least_one_site"]["value"],
        192671,
    ):
        messages: list[Message] = []
        cohort = having("condition_occurrence", concept)
        hospitals.run(
            COUNT,
            hospitals.gibleed(),
            cohort,
            {},
            suppress_below=11,
            with_triples=True,
            record=messages.append,
        )
        shapes.add(tuple((m.round_index, m.sender, m.receiver, len(m.content)) for m in messages))
    assert len(shapes) == 1
    forecast = declared("cohort-count", 1).forecast({}, sites=3)
    [messages_sent] = shapes
    sent = sum(size for *_, size in messages_sent)
    assert 0.8 < sent / (3 * forecast.bytes_sent_per_party) < 1.25
    assert len({round_index for round_index, *_ in messages_sent}) == forecast.rounds


def test_adding_or_removing_one_person_changes_the_count_by_one_at_most() -> None:
    site = hospitals.gibleed()[0]
    cohort = having("condition_occurrence", 192671)
    whole = COUNT.local_step(site, cohort, {})
    changes = []
    for row in range(60):
        person = {name: np.delete(values, row) for name, values in site.person.items()}
        rest = OmopTables(person, site.condition_occurrence, site.drug_era)
        changes.append(int(np.abs(whole - COUNT.local_step(rest, cohort, {})).sum()))
    assert set(changes) == {0, 1}


def test_a_noised_count_comes_with_its_noise_and_an_interval() -> None:
    noise = ReleaseNoise.of("0.5", sensitivity=1, parties=3, collusion_bound=1)
    cohort = having("condition_occurrence", 192671)
    hits = 0
    for number in range(40):
        table = hospitals.run(COUNT, hospitals.gibleed(), cohort, {}, noise, seed=f"count {number}")
        released = COUNT.finish(table, {}, noise, suppress_below=11)
        assert released["count"] == int(table[0])
        assert released["count_noise_sd"] == pytest.approx((1.5 * 7.8354) ** 0.5, rel=1e-4)
        hits += released["interval"]["lower"] <= 479 <= released["interval"]["upper"]
    assert hits >= 35, "a 95% interval holds the exact count nearly always"


def test_all_shares_assumed_honest_make_exactly_the_noise_of_case_p24() -> None:
    """Without a noise-collusion bound, three shares are one discrete Laplace variable."""
    case = hospitals.case("P24")
    noise = ReleaseNoise.of("0.5", sensitivity=1, parties=3, collusion_bound=0)
    runs = 479 + sum(hospitals.draw(noise, 2000, f"P24/{party}") for party in range(3))

    answers = {
        "all_outputs_integer": runs.dtype == np.int64,
        "mean_of_runs": float(runs.mean()),
        "variance_of_runs": float(runs.var()),
        "p_noise_zero": float((runs == 479).mean()),
        "p_abs_noise_le_3": float((np.abs(runs - 479) <= 3).mean()),
    }
    assert {k: v for k, v in answers.items() if not hospitals.agrees(v, case[k])} == {}


@pytest.mark.parametrize("noised", [-4, 0, 1, 10])
def test_a_small_noised_count_is_suppressed_and_never_zero(noised: int) -> None:
    noise = ReleaseNoise.of("0.5", sensitivity=1, parties=3, collusion_bound=1)
    released = COUNT.finish(np.array([noised]), {}, noise, suppress_below=11)
    assert released["count"] == SUPPRESSED
    assert released["interval"]["lower"] == released["interval"]["upper"] == SUPPRESSED


def test_a_plan_may_be_stricter_than_its_class_and_not_laxer() -> None:
    table = np.array([25])
    assert COUNT.finish(table, {"suppress_below": 30}, None, suppress_below=11)["count"] == (
        SUPPRESSED
    )
    assert COUNT.finish(np.array([9]), {"suppress_below": 5}, None, suppress_below=11)["count"] == (
        SUPPRESSED
    )


def test_a_table_of_two_numbers_is_refused() -> None:
    with pytest.raises(NoisedTableError, match="one number"):
        COUNT.finish(np.array([1, 2]), {}, None, suppress_below=11)


@pytest.mark.parametrize(
    "noise", [None, ReleaseNoise.of("1", sensitivity=1, parties=3, collusion_bound=1)]
)
def test_the_declaration_documents_every_key(noise: ReleaseNoise | None) -> None:
    declaration = declared("cohort-count", 1)
    documented = {item.name for item in (*declaration.outputs, *declaration.echoes)}
    printed = hospitals.leaves(COUNT.finish(np.array([479]), {}, noise, suppress_below=11))
    assert printed <= documented
    assert noise is None or printed == documented
