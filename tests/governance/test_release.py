"""The release gate: each reason to refuse, one test each; then who decides, and when."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from audit import log
from governance import release as gate
from governance.certificates import SealedSession
from governance.errors import Refusal
from governance.models import OutputCheck, Release
from governance.statements.envelope import Envelope
from governance.statements.run_statements import Recipient
from tests.factories.evidence import NOW
from tests.workers.coordinator import conftest
from tests.workers.coordinator.house import House
from workers.coordinator.sealing import session_of

portal_keys, house = conftest.portal_keys, conftest.house


@pytest.fixture
def sealed(house: House) -> House:
    house.seal()
    return house


def refused(house: House, session: SealedSession | None = None, **when: Any) -> Refusal:
    """Return why the gate refuses; check that it logged and changed nothing."""
    now = NOW + timedelta(**when)
    with pytest.raises(Refusal) as caught:
        gate.permit_opening(house.run, session or session_of(house.attempt), now=now)
    assert house.release.state == Release.State.SEALED
    assert len(log.entries(event="release.")) == 0
    return caught.value


def test_the_gate_permits_what_everything_covers(sealed: House) -> None:
    opened = gate.permit_opening(sealed.run, session_of(sealed.attempt), now=NOW)
    assert opened.state == Release.State.OPENING
    entry = log.entry(opened.permit_log_index)
    assert (entry.event, entry.actor) == ("release.permitted", "gate")


def test_permitting_twice_logs_once(sealed: House) -> None:
    first = gate.permit_opening(sealed.run, session_of(sealed.attempt), now=NOW)
    again = gate.permit_opening(
        sealed.run, session_of(sealed.attempt), now=NOW + timedelta(minutes=1)
    )
    assert bytes(again.permit or b"") == bytes(first.permit or b"")
    assert len(log.entries(event="release.permitted")) == 1


def test_a_revoked_class_is_refused(sealed: House) -> None:
    sealed.revoke_class("m-ruth", "m-carl")
    assert refused(sealed).code == "class_revoked"


def test_an_expired_approval_is_refused(sealed: House) -> None:
    assert refused(sealed, days=31).code == "class_approval_expired"


def test_a_missing_approval_of_the_study_is_refused(sealed: House) -> None:
    sealed.version.approvals.last().delete()
    assert refused(sealed).code == "study_quorum_missing"


def test_a_withdrawn_consent_is_refused_and_its_site_named(sealed: House) -> None:
    sealed.add_consent("cedar", "withdraw")
    refusal = refused(sealed)
    assert (refusal.code, refusal.site) == ("consent_withdrawn", "cedar")


def test_an_expired_plan_is_refused(db: None, portal_keys: None) -> None:
    sealed = House(expires_at="2026-11-23T00:00:00Z")
    sealed.seal()
    assert refused(sealed, hours=1).code == "plan_expired"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("study_digest", "0" * 64),
        ("run", "run-other"),
        ("class_digest", "0" * 64),
        ("noise", "off"),
        ("recipient", Recipient("gate", "0" * 64)),
    ],
)
def test_a_session_about_something_else_is_refused(sealed: House, field: str, value: Any) -> None:
    session = session_of(sealed.attempt)
    other = replace(session.manifest, **{field: value})
    assert refused(sealed, replace(session, manifest=other)).code == "manifest_mismatch"


def test_a_session_of_fewer_parties_is_refused(sealed: House) -> None:
    session = session_of(sealed.attempt)
    fewer = replace(session.manifest, parties=session.manifest.parties[:2])
    assert refused(sealed, replace(session, manifest=fewer)).code == "manifest_mismatch"


def with_certificate(house: House, site: str, **changes: Any) -> SealedSession:
    session = session_of(house.attempt)
    altered = Envelope.parse(house.sites[site].certify(**changes))
    return replace(session, certificates={**session.certificates, site: altered})


def test_a_missing_certificate_is_refused_and_its_site_named(sealed: House) -> None:
    session = session_of(sealed.attempt)
    certificates = {site: said for site, said in session.certificates.items() if site != "birch"}
    refusal = refused(sealed, replace(session, certificates=certificates))
    assert (refusal.code, refusal.site) == ("certificate_missing", "birch")


def test_a_certificate_that_another_site_signed_is_refused(sealed: House) -> None:
    session = session_of(sealed.attempt)
    swapped = {**session.certificates, "birch": session.certificates["alder"]}
    assert refused(sealed, replace(session, certificates=swapped)).code == "certificate_mismatch"


@pytest.mark.parametrize(
    "changes",
    [
        {"party": 2},
        {"manifest_digest": "0" * 64},
        {"transcript": {}},
        {"output": {"cells": 24, "commitment": "0" * 64}},
    ],
    ids=["party", "manifest", "transcript", "size"],
)
def test_certificates_that_disagree_are_refused(sealed: House, changes: dict[str, Any]) -> None:
    session = with_certificate(sealed, "birch", **changes)
    assert refused(sealed, session).code == "certificate_mismatch"


def test_outputs_of_another_size_than_the_class_asks_for_are_refused(sealed: House) -> None:
    session = session_of(sealed.attempt)
    output = {"cells": 24, "commitment": "0" * 64}
    certificates = {
        name: Envelope.parse(site.certify(output=output)) for name, site in sealed.sites.items()
    }
    refusal = refused(sealed, replace(session, certificates=certificates))
    assert refusal.sentence.endswith("the class asks for 52 numbers.")


def test_the_permit_is_neither_stored_nor_logged_alone(
    sealed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object, **__: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(log, "append", unavailable)
        with pytest.raises(OSError, match="disk full"):
            gate.permit_opening(sealed.run, session_of(sealed.attempt), now=NOW)
    assert sealed.release.state == Release.State.SEALED
    assert sealed.release.permit is None


@pytest.fixture
def opened(house: House) -> House:
    house.open()
    return house


def test_two_checkers_decide(opened: House) -> None:
    opened.check_output("m-olga")
    assert gate.decide_release(opened.run).state == Release.State.OPENED
    opened.check_output("m-otto")
    decided = gate.decide_release(opened.run)
    assert decided.state == Release.State.DECIDED
    entry = log.entry(decided.decision_log_index)
    assert (entry.event, entry.data) == (
        "release.visible",
        {"result_digest": decided.result_digest},
    )


def test_one_checker_who_withholds_is_enough(opened: House) -> None:
    opened.check_output("m-olga")
    opened.check_output("m-otto", "withhold")
    withheld = gate.decide_release(opened.run)
    assert withheld.state == Release.State.WITHHELD
    assert withheld.withheld_reason == "An output checker, m-otto, withheld the result."


def test_a_check_of_another_result_counts_for_nothing(opened: House) -> None:
    opened.check_output("m-olga")
    opened.check_output("m-otto", result_digest="0" * 64)
    assert gate.decide_release(opened.run).state == Release.State.OPENED


@pytest.mark.parametrize("member", ["m-ines", "m-ruth"])
def test_the_investigator_and_a_mere_reviewer_do_not_count(opened: House, member: str) -> None:
    opened.check_output("m-olga")
    opened.check_output(member)
    assert gate.decide_release(opened.run).state == Release.State.OPENED


def test_a_check_whose_signature_was_altered_counts_for_nothing(opened: House) -> None:
    opened.check_output("m-olga")
    opened.check_output("m-otto")
    check = OutputCheck.objects.get(signer__member_id="m-otto")
    check.envelope["signatures"] = OutputCheck.objects.get(signer__member_id="m-olga").envelope[
        "signatures"
    ]
    check.save()
    assert gate.decide_release(opened.run).state == Release.State.OPENED


def test_nothing_that_is_not_decided_becomes_visible(opened: House) -> None:
    gate.make_visible(opened.release)
    assert opened.release.state == Release.State.OPENED


def test_what_is_opened_is_never_withheld_by_a_site(opened: House) -> None:
    gate.withhold(opened.run, code="aborted", reason="Too late.")
    assert opened.release.state == Release.State.OPENED


def test_the_digest_covers_numbers_and_result() -> None:
    digest = gate.result_digest([2**53], {"curve": [0.5]}, salt="5a")
    assert digest != gate.result_digest([2**53 + 1], {"curve": [0.5]}, salt="5a")
    assert digest != gate.result_digest([2**53], {"curve": [0.25]}, salt="5a")


def test_a_hidden_number_cannot_be_found_by_trying(opened: House) -> None:
    """The digest is shown and logged; who reads the rest could else try every small number."""
    release = opened.release
    noised, result, digest = release.noised, release.result, release.result_digest
    assert len(bytes.fromhex(release.salt)) == 32
    assert digest == gate.result_digest(noised, result, salt=release.salt)
    assert digest != gate.result_digest(noised, result, salt="")
