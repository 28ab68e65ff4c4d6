"""The pages of computation classes and of the roster, and how a decision is signed on one."""

import base64
import json
import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.actions import register_signing_key
from accounts.models import User
from governance.models import ComputationClass, RosterVersion
from governance.roster_draft import draft_roster
from governance.statements.envelope import Envelope, add_ed25519
from tests.factories.portal import House, build_house

PAGE = "/classes/kaplan-meier/1/"


@pytest.fixture
def house(db: None) -> House:
    """Return a house whose committee has not decided about any class."""
    return build_house(class_approved=False)


@pytest.fixture
def proposed(house: House) -> ComputationClass:
    client = signed_in(house.people["m-pete"])
    client.post("/classes/", {"identifier": "kaplan-meier/1"})
    return ComputationClass.objects.get(name="kaplan-meier")


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def asked(client: Client, **sent: str) -> Envelope:
    """Return the statement that the page offers for download once the person has decided."""
    page = client.post(PAGE, {"step": "prepare", **sent}).content.decode()
    link = re.search(r'href="data:application/json;base64,([^"]+)"', page)
    assert link is not None, page
    return Envelope.parse(json.loads(base64.b64decode(link[1])))


def send_in(client: Client, envelope: Any, page: str = PAGE) -> str:
    """Return the page that answers a signed statement sent in as a file."""
    written = envelope if isinstance(envelope, bytes) else json.dumps(envelope.to_json()).encode()
    file = SimpleUploadedFile("statement.json", written)
    return client.post(page, {"envelope_file": file}, follow=True).content.decode()


def test_a_class_of_the_catalogue_is_proposed_once(house: House) -> None:
    client = signed_in(house.people["m-pete"])
    first = client.post("/classes/", {"identifier": "kaplan-meier/1"}, follow=True)
    assert "The committee decides" in first.content.decode()
    again = client.post("/classes/", {"identifier": "kaplan-meier/1"}, follow=True)
    assert "is proposed already" in again.content.decode()
    unknown = client.post("/classes/", {"identifier": "no-such/x"}, follow=True)
    assert "expected a class of this catalogue" in unknown.content.decode()


def test_a_quorum_that_signs_offline_approves_the_class(
    house: House, proposed: ComputationClass
) -> None:
    for member in ("m-ruth", "m-carl"):
        client = signed_in(house.people[member])
        statement = asked(client, decision="approve", comment="Fine.\r\nGo on.")
        assert statement.payload["comment"] == "Fine.\nGo on."
        signed = add_ed25519(statement, house.consortium.person(member).private_key)
        assert "is signed, checked and in the audit log" in send_in(client, signed)
    proposed.refresh_from_db()
    assert proposed.state == "approved"


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda envelope: b"no JSON", "is not JSON"),
        (lambda envelope: b"[" * 200_000, "the file is"),
        (lambda envelope: b"[]", "expected an object"),
        (lambda envelope: envelope, "nobody has signed this file yet"),
    ],
)
def test_what_is_not_a_signed_statement_is_explained_and_decides_nothing(
    house: House, proposed: ComputationClass, spoil: Any, sentence: str
) -> None:
    client = signed_in(house.people["m-ruth"])
    page = send_in(client, spoil(asked(client, decision="approve")))
    alert = re.search(r'role="alert"[^>]*><p>([^<]+)', page)
    assert alert is not None
    assert sentence in alert[1]
    assert not proposed.approvals.exists()


def test_nobody_sends_in_somebody_elses_decision(house: House, proposed: ComputationClass) -> None:
    statement = asked(signed_in(house.people["m-carl"]), decision="approve")
    signed = add_ed25519(statement, house.consortium.person("m-carl").private_key)
    page = send_in(signed_in(house.people["m-ruth"]), signed)
    assert "names someone else" in page
    assert not proposed.approvals.exists()


def test_who_may_not_decide_reads_the_card_and_is_offered_nothing(
    house: House, proposed: ComputationClass
) -> None:
    client = signed_in(house.people["m-ines"])
    page = client.get(PAGE).content.decode()
    assert "Who learns what" in page
    assert "Continue to sign" not in page
    assert client.post(PAGE, {"step": "prepare", "decision": "approve"}).status_code == 403


def test_the_roster_page_shows_the_fingerprint_that_sites_pin(house: House) -> None:
    page = signed_in(house.people["m-ines"]).get("/roster/").content.decode()
    assert f'data-copy="{house.consortium.pinned}"' in page
    assert "Publish the next version" not in page


def test_a_drafted_roster_is_signed_and_published_through_the_page(house: House) -> None:
    for member, user in house.people.items():
        document = house.consortium.person(member).key.to_json()
        register_signing_key(user=user, document=document, name="laptop", by=user)
    client = signed_in(house.people["m-pete"])
    sent = client.get("/roster/draft/")
    assert sent.headers["Content-Disposition"] == 'attachment; filename="roster.json"'
    draft = Envelope.parse(sent.json())
    one = add_ed25519(draft, house.consortium.person("m-ruth").private_key)
    assert 'role="alert"' in send_in(client, one, "/roster/"), "one signature is no quorum"
    both = add_ed25519(one, house.consortium.person("m-carl").private_key)
    assert "Version 2 is in force" in send_in(client, both, "/roster/")
    assert RosterVersion.objects.count() == 2
    assert draft_roster(now=timezone.now()).payload["version"] == 3


def test_before_the_first_roster_the_page_says_who_acts(db: None) -> None:
    from tests.factories.portal import person

    page = signed_in(person("zoe", ["portal_operator"])).get("/roster/").content.decode()
    assert "No roster has been published yet" in page
