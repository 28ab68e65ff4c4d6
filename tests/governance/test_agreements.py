"""The agreement: stewards sign it for their organisations, and without it no run begins."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.errors import ActionRefusedError, NotPermittedError
from audit import log
from governance import actions, statement_requests
from governance.errors import Refusal, StatementError
from governance.models import Agreement
from governance.queries import agreements
from governance.statements.envelope import Envelope, add_ed25519
from tests.factories.evidence import AGREEMENT, SITES, Consortium
from tests.factories.portal import House, build_house

UNDER_AGREEMENT = Consortium(rules={"agreement": AGREEMENT})


@pytest.fixture
def house(db: None) -> House:
    """Return a house whose roster asks for an agreement that nobody has signed."""
    return build_house(consortium=UNDER_AGREEMENT)


def test_a_run_needs_the_signatures_of_all_its_sites_organisations(house: House) -> None:
    study = house.ready_study()
    house.sign_agreement("alder")
    house.sign_agreement("birch")
    with pytest.raises(Refusal) as refused:
        actions.start_run(study=study, by=house.pi)
    assert refused.value.code == "agreement_missing"
    assert "cedar" in refused.value.sentence
    house.sign_agreement("cedar")
    assert [stands.signed for stands in agreements()] == [True, True, True]
    assert actions.start_run(study=study, by=house.pi).state == "pending"


def test_each_signature_is_an_entry_of_the_log(house: House) -> None:
    stored = house.sign_agreement("alder")
    entry = log.entry(stored.log_index)
    assert entry.event == "agreement.signed"
    assert entry.data["statement_digest"] == stored.digest
    assert entry.data["organisation"] == "alder-hospital"
    ended = house.sign_agreement("alder", "end")
    assert log.entry(ended.log_index).event == "agreement.ended"


def test_who_has_signed_nothing_ends_nothing(house: House) -> None:
    with pytest.raises(ActionRefusedError, match="has signed no agreement"):
        house.sign_agreement("alder", "end")


def test_reviewers_and_stewards_of_others_do_not_sign(house: House) -> None:
    ruth, ben = house.people["m-ruth"], house.people["m-ben"]
    with pytest.raises(NotPermittedError):
        statement_requests.request_agreement(decision="sign", by=ruth)
    asked = statement_requests.request_agreement(decision="sign", by=house.people["m-ada"])
    with pytest.raises(StatementError):
        actions.sign_agreement(envelope=house.sign(asked, "m-ben"), by=ben)
    with pytest.raises(NotPermittedError, match="names someone else"):
        actions.sign_agreement(envelope=house.sign(asked, "m-ada"), by=ben)
    assert not Agreement.objects.exists()


def test_where_the_roster_asks_for_none_there_is_none_to_sign(db: None) -> None:
    house = build_house()
    with pytest.raises(ActionRefusedError, match="asks for no agreement"):
        house.sign_agreement("alder")
    page = Client()
    page.force_login(house.people["m-ada"])
    assert "asks for no agreement" in page.get("/agreement/").content.decode()


def test_the_page_says_who_has_signed_and_has_a_steward_sign(house: House) -> None:
    client = Client()
    client.force_login(house.people["m-ada"])
    assert "Agreement" in client.get("/").content.decode()
    page = client.get("/agreement/").content.decode()
    assert AGREEMENT["title"] in page
    assert page.count("has not signed the agreement") == 3
    asked = client.post("/agreement/", {"step": "prepare", "decision": "sign"}).content.decode()
    assert "m-ada for alder-hospital: sign the agreement" in asked
    house.sign_agreement("alder")
    again = client.get("/agreement/").content.decode()
    assert again.count("has not signed the agreement") == 2
    auditor = Client()
    auditor.force_login(house.people["m-aude"])
    assert "For your organisation" not in auditor.get("/agreement/").content.decode()


def test_over_the_api(house: House) -> None:
    client = APIClient()
    client.force_authenticate(house.people["m-cleo"])

    def post(path: str, body: Any) -> Any:
        return client.post(f"/api/v1/agreement/{path}", body, format="json")

    asked = post("request/", {"decision": "sign"}).json()
    envelope = add_ed25519(
        Envelope.parse(asked["unsigned"]), house.consortium.person("m-cleo").private_key
    )
    assert post("", {"envelope": envelope.to_json()}).status_code == 201
    seen = client.get("/api/v1/agreement/").json()
    assert seen["digest"] == AGREEMENT["digest"]
    assert {row["organisation"]: row["signed"] for row in seen["organisations"]} == {
        f"{site}-hospital": site == "cedar" for site in SITES
    }
    assert post("request/", {"decision": "burn"}).status_code == 400
