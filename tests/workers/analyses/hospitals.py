"""Three hospitals with the demo data, and the ways the tests let them compute together."""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from dp.mechanisms import scale, shares_needed
from dp.noise import noise_share
from workers.analyses import plan_check
from workers.analyses.noised_sum import Setting
from workers.analyses.registry import Analysis
from workers.analyses.release_noise import ReleaseNoise
from workers.analyses.site_data import OmopTables, SiteData, Table
from workers.mpc.preprocessing import transfers
from workers.mpc.preprocessing.triple_sources import TriplePool
from workers.mpc.profiles import additive, replicated
from workers.mpc.protocol import Message, Party, PartyId, Protocol, run_locally
from workers.mpc.randomness import Randomness

REPOSITORY = Path(__file__).resolve().parents[3]
SITES = ("alder", "birch", "cedar")
EVERYBODY: Mapping[str, Any] = {"include": [], "exclude": []}


def case(name: str) -> dict[str, Any]:
    """Return the expected items of a case file by key."""
    [path] = (REPOSITORY / "tests" / "cases").glob(f"{name}_*.json")
    return {item["key"]: item for item in json.loads(path.read_text())["expected"]}


def agrees(answer: Any, item: Mapping[str, Any]) -> bool:
    """Return whether `answer` lies within the case's tolerance, leaf by leaf."""
    return _agrees(answer, item["value"], item)


def _agrees(answer: Any, expected: Any, item: Mapping[str, Any]) -> bool:
    if isinstance(expected, list):
        return len(answer) == len(expected) and all(
            _agrees(a, e, item) for a, e in zip(answer, expected, strict=True)
        )
    if isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(
            _agrees(answer[key], expected[key], item) for key in expected
        )
    if item.get("exact"):
        return bool(answer == expected)
    difference = abs(answer - expected)
    return bool(
        difference <= item.get("abs_tol", -1)
        or difference <= item.get("rel_tol", -1) * abs(expected)
    )


@cache
def lung() -> tuple[Table, ...]:
    """Return the lung trial's rows at each site."""
    numeric = {"time", "event", "sex", "age", "pid"}
    return tuple(_read(site, "lung.csv", dict.fromkeys(numeric, float)) for site in SITES)


@cache
def gibleed() -> tuple[OmopTables, ...]:
    """Return the OMOP tables of each site."""
    return tuple(
        OmopTables(
            person=_read(site, "gibleed_person.csv.gz", _PERSON),
            condition_occurrence=_read(site, "gibleed_condition_occurrence.csv.gz", _CONDITION),
            drug_era=_read(site, "gibleed_drug_era.csv.gz", _DRUG),
        )
        for site in SITES
    )


def run(
    analysis: Analysis,
    sites: Sequence[SiteData],
    cohort: Mapping[str, Any],
    parameters: Mapping[str, Any],
    noise: ReleaseNoise | None = None,
    *,
    seed: str = "",
    suppress_below: int = 0,
    with_triples: bool = False,
    record: Callable[[Message], None] | None = None,
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return what a whole session opens: local steps, secure step, reconstruction.

    The secure step is written once for all profiles. ``with_triples`` runs it as a run does, in
    profile ``additive``; without, in ``replicated``, which has nothing to set up.
    """
    setting = Setting.of(
        parameters,
        suppress_below=suppress_below,
        scale=None if noise is None else scale(noise.event),
    )

    def take_part(number: int) -> Protocol[bytes]:
        vector = analysis.local_step(sites[number], cohort, parameters)
        party = Party(PartyId(number), len(sites), Randomness(_bytes(f"{seed}/ring/{number}")(32)))
        drawn = None if noise is None else draw(noise, len(vector), f"{seed}/noise/{number}")
        if with_triples:
            pool = TriplePool((yield from transfers.set_up(party, b"a session of the tests")))
            cost = plan_check.rehearse(analysis, setting, len(vector), len(sites))
            yield from pool.prepare(cost.triples)
            engine = yield from additive.start(party, triples=pool)
        else:
            engine = yield from replicated.start(party)
        result = yield from analysis.secure_step(engine, vector, drawn, setting)
        return (yield from engine.sealed(result))

    sealed = run_locally([take_part(number) for number in range(len(sites))], record)
    return (additive if with_triples else replicated).reconstruct(sealed)


def opened(
    table: np.ndarray[Any, np.dtype[np.int64]], groups: int, suppress_below: int = 0
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return what the small-number rule leaves of a Kaplan-Meier table, in plaintext."""
    rows = table.reshape(groups, 2, -1)
    bins = rows.shape[2]
    answers = []
    for row in rows:
        at_risk = [int(row[:, bin_:].sum()) for bin_ in range(bins)]
        remaining = [*at_risk[1:], at_risk[-1]]
        small = [bin_ for bin_, count in enumerate(remaining) if count < suppress_below]
        shown = min([*small, bins]) if suppress_below else bins
        kept = np.where(np.arange(bins) < shown, row, 0)
        answers.append([shown, at_risk[0] if shown else 0, *kept.ravel()])
    return np.array(answers, dtype=np.int64).ravel()


def draw(noise: ReleaseNoise, size: int, seed: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return one party's noise share, from bytes that `seed` fixes."""
    return noise_share(
        size,
        scale=scale(noise.event),
        shares=shares_needed(noise.parties, noise.collusion_bound),
        random_bytes=_bytes(seed),
    )


def leaves(value: Any, path: str = "") -> set[str]:
    """Return the paths of all leaves of a released JSON, lists written as ``[]``."""
    if isinstance(value, dict):
        return set().union(*(leaves(v, f"{path}.{k}".lstrip(".")) for k, v in value.items()))
    if isinstance(value, list):
        return set().union(*(leaves(item, f"{path}[]") for item in value))
    return {path}


def _bytes(seed: str) -> Callable[[int], bytes]:
    calls = count()
    return lambda size: hashlib.shake_256(f"{seed}/{next(calls)}".encode()).digest(size)


def _day(text: str) -> np.datetime64:
    return np.datetime64(text, "D")


_PERSON: dict[str, Callable[[str], Any]] = {
    "person_id": int,
    "gender_concept_id": int,
    "year_of_birth": int,
    "obs_start": _day,
    "obs_end": _day,
}
_CONDITION: dict[str, Callable[[str], Any]] = {
    "person_id": int,
    "condition_concept_id": int,
    "condition_start_date": _day,
}
_DRUG: dict[str, Callable[[str], Any]] = {
    "person_id": int,
    "drug_concept_id": int,
    "drug_era_start_date": _day,
}


def _read(site: str, name: str, readers: Mapping[str, Callable[[str], Any]]) -> Table:
    path = REPOSITORY / "demo" / "data" / site / name
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    rows = list(csv.DictReader(text.splitlines()))
    return {name: np.array([read(row[name]) for row in rows]) for name, read in readers.items()}
