"""Payloads: each kind of statement has one schema, closed at every level, and comes back whole."""

import pytest
from django.core.management import call_command
from jsonschema import Draft202012Validator

from governance.errors import StatementError
from governance.schemas import DOCUMENTS, PAYLOADS
from governance.statements.envelope import Kind
from governance.statements.result_statements import OpeningPermit
from tests.factories.evidence import NOW, SITES, Consortium
from tests.factories.sealed_session import SESSION as SESSION_ID
from tests.factories.sealed_session import SealedSession

CONSORTIUM = Consortium()
SESSION = SealedSession()

GENUINE = {
    Kind.CLASS_APPROVAL: CONSORTIUM.class_decision("m-ruth").body,
    Kind.STUDY_APPROVAL: CONSORTIUM.review("m-ruth", SESSION.plan).body,
    Kind.CONSENT: CONSORTIUM.consent("alder", SESSION.plan).body,
    Kind.AGREEMENT: CONSORTIUM.agreement("alder").body,
    Kind.SITE_POLICY: CONSORTIUM.policy("alder", "permit").body,
    Kind.SITE_RELEASE: CONSORTIUM.site_release("alder", SESSION.manifest()).body,
    Kind.LETTER: CONSORTIUM.letter("alder", "birch", CONSORTIUM.roster_envelope).body,
    Kind.OUTPUT_CHECK: CONSORTIUM.output_check(
        "m-olga", study="st-1", run="run-1", result_digest="0" * 64
    ).body,
    Kind.KEY_OFFER: SESSION.key_offer("alder").body,
    Kind.RUN_MANIFEST: SESSION.manifest().canonical(),
    Kind.RUN_ACCEPTANCE: SESSION.acceptance("alder").body,
    Kind.RESULT_CERTIFICATE: SESSION.certificate("alder").body,
    Kind.OPENING_PERMIT: SESSION.permit(),
    Kind.DATA_SET_REGISTER: CONSORTIUM.register("alder").body,
}


def objects(schema, where=""):
    """Yield every schema of an object within `schema`, with where it stands."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield where, schema
        for name, inner in schema.items():
            yield from objects(inner, f"{where}/{name}")
    elif isinstance(schema, list):
        for index, inner in enumerate(schema):
            yield from objects(inner, f"{where}/{index}")


def test_every_kind_but_the_roster_has_a_payload():
    assert set(PAYLOADS) == set(GENUINE) == set(Kind) - {Kind.ROSTER}


@pytest.mark.parametrize("kind", GENUINE)
def test_a_payload_comes_back_byte_for_byte(kind):
    payload = PAYLOADS[kind].parse(GENUINE[kind])
    assert payload.canonical() == GENUINE[kind]
    assert payload.to_json()["type"] == kind.value


@pytest.mark.parametrize("kind", GENUINE)
def test_a_payload_is_not_read_as_another_kind(kind):
    for other in set(GENUINE) - {kind}:
        with pytest.raises(StatementError):
            PAYLOADS[other].parse(GENUINE[kind])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schemas_are_schemas_and_closed_at_every_level(name):
    Draft202012Validator.check_schema(DOCUMENTS[name])
    # What the class and the cohort definition allow there, they check themselves.
    open_ended = {"/properties/parameters", "/properties/cohort"} if name == "study-plan" else set()
    for where, schema in objects(DOCUMENTS[name]):
        assert (schema.get("additionalProperties") is False) == (where not in open_ended), where


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"parties": ()}, "at least 2"),
        ({"deadline": "2026-13-01T00:00:00Z"}, "deadline"),
        ({"deadline": "2026-11-22T23:41:37.0Z"}, "deadline: expected a moment"),
        ({"session": SESSION_ID + "\n"}, "matches"),
        ({"noise": "some"}, "one of distributed, off"),
        ({"attempt": 0}, "at least 1"),
        ({"attempt": True}, "type integer"),
    ],
)
def test_a_manifest_with_a_fault_is_refused(change, reason):
    with pytest.raises(StatementError, match=reason):
        type(SESSION.manifest()).parse(SESSION.manifest(**change).canonical())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda parties: parties[::-1], "numbered from 0"),
        (lambda parties: (parties[0], *parties[:1], parties[2]), "numbered from 0"),
    ],
)
def test_parties_stand_in_order(spoil, reason):
    with pytest.raises(StatementError, match=reason):
        SESSION.manifest(parties=spoil(SESSION.manifest().parties))


def test_a_party_is_found_by_its_site():
    manifest = SESSION.manifest()
    assert [manifest.party_of(site).party for site in SITES] == [0, 1, 2]
    assert manifest.party_of("dogwood") is None


def test_a_permit_is_no_signed_statement_of_another_kind():
    with pytest.raises(StatementError) as refused:
        OpeningPermit.of(CONSORTIUM.consent("alder", SESSION.plan))
    assert refused.value.code == "statement_wrong_kind"


def test_a_decision_must_name_days_that_exist():
    with pytest.raises(StatementError, match="valid_until"):
        CONSORTIUM.review("m-ruth", SESSION.plan, valid_until="2026-02-30T00:00:00Z")
    assert NOW.tzinfo is not None


def test_the_schemas_in_docs_are_fresh():
    call_command("write_schemas", check=True)
