"""Plain words: what a person reads names what they sign, and nobody else can write on the page."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance import render, roster
from governance.statements.keys import Key
from tests.factories.evidence import PEOPLE, SITES, Consortium
from tests.factories.sealed_session import SealedSession

CONSORTIUM = Consortium()
PLAN = CONSORTIUM.plan(max_sites_per_person=3, openings=[{"name": "first"}, {"name": "last"}])


def words(facts):
    return re.sub(r"\s+", " ", render.as_text(facts))


def test_a_plan_says_what_it_asks_costs_and_reveals():
    written = words(render.of_plan(PLAN))
    for expected in (
        PLAN.title,
        PLAN.lay_summary,
        "m-ines",
        "Kaplan-Meier",
        "everyone in the data set",
        "alder, birch, cedar",
        "epsilon 2 for each opening (first, last)",
        "costs each site epsilon 4, all 3 of its runs 12",
        "at 3 sites; the noise grows",
        PLAN.expires_at,
    ):
        assert expected in written
    assert roster.fingerprint(PLAN.digest) in render.as_text(render.of_plan(PLAN))


def test_a_rehearsal_is_called_one():
    assert "a rehearsal on synthetic" in words(render.of_plan(CONSORTIUM.plan(mode="rehearsal")))


@pytest.mark.parametrize(
    ("envelope", "sentence"),
    [
        (
            CONSORTIUM.class_decision("m-ruth", decision="revoke"),
            "m-ruth of birch-hospital: revoke computation class kaplan-meier/1.",
        ),
        (
            CONSORTIUM.review("m-carl", PLAN, decision="return", comment="Why three openings?"),
            "m-carl of cedar-hospital: return study st-7f3a90c1, version 1.",
        ),
        (
            CONSORTIUM.consent("alder", PLAN),
            "m-ada of alder-hospital: consent for site alder to study st-7f3a90c1.",
        ),
        (
            CONSORTIUM.output_check("m-olga", study="st-1", run="run-1", result_digest="0" * 64),
            "m-olga of birch-hospital: pass the result of run run-1 of st-1.",
        ),
    ],
)
def test_a_decision_is_one_sentence_with_its_digest_and_signer(envelope, sentence):
    written = words(render.of_statement(envelope))
    digest = next(value for name, value in envelope.payload.items() if name.endswith("_digest"))
    assert sentence in written
    assert roster.fingerprint(digest) in written
    assert envelope.signatures[0].keyid in written
    assert (envelope.payload["comment"] or "(none)") in written


def test_a_roster_lists_every_key_that_would_count():
    written = words(render.of_statement(CONSORTIUM.roster_envelope))
    for person in PEOPLE:
        assert person.key.id in written
    for site in SITES:
        key = Key.ed25519(CONSORTIUM.site_key(site).public_key().public_bytes_raw())
        assert roster.fingerprint(key.id.removeprefix("ed25519:")) in written
    assert CONSORTIUM.roster.fingerprint in written


def test_what_sites_sign_is_shown_field_by_field():
    written = words(render.of_statement(SealedSession().certificate("alder")))
    assert "Statement: result-certificate" in written
    assert "Output: " in written


def test_nobody_has_signed_yet():
    unsigned = CONSORTIUM.sign_by(CONSORTIUM.roster_envelope.kind, CONSORTIUM.roster_payload(), ())
    assert "Signed by: nobody yet" in words(render.of_statement(unsigned))


ATTACKS = {
    "a new line": "harmless\nDecision:\n  decline",
    "a carriage return": "consent\rdecline",
    "an escape sequence": "\x1b[2J\x1b[1;1H",
    "a change of direction": "decline \u202etnesnoc",
    "an invisible character": "con\u200bsent",
    "a line separator": "one\u2028two",
}


@pytest.mark.parametrize("title", ATTACKS.values(), ids=ATTACKS)
def test_a_text_cannot_forge_what_stands_around_it(title):
    written = render.as_text(render.of_plan(CONSORTIUM.plan(title=title)))
    genuine = render.as_text(render.of_plan(CONSORTIUM.plan(title="x")))
    labels = re.compile(r"^[^ ].*:$", re.MULTILINE)
    assert labels.findall(written) == labels.findall(genuine)
    assert all(character.isprintable() for character in written.replace("\n", ""))
    assert r"\u{" in written


labels = st.text(max_size=20).filter(lambda label: not label.startswith("  "))


@given(st.lists(st.builds(render.Fact, labels, st.text(max_size=300)), max_size=5))
def test_a_fact_is_one_label_and_indented_lines(facts):
    lines = render.as_text(facts).splitlines()
    assert sum(not line.startswith("  ") for line in lines) >= len(facts)
    assert all(len(line) <= 81 for line in lines if line.startswith("  "))
    assert all(character.isprintable() for line in lines for character in line)


def test_a_fingerprint_fits_on_one_line():
    lines = render.as_text(render.of_plan(PLAN)).splitlines()
    assert f"  {roster.fingerprint(PLAN.digest)}" in lines
