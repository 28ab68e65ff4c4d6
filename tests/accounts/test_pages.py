"""Signing in, one's keys, and the portal operator's pages."""

import re

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from accounts.key_registration import registration_message
from accounts.models import Membership, Site, User
from tests.factories.evidence import signing_key
from tests.factories.portal import House

PASSWORD = "correct horse battery"


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture(autouse=True)
def _nobody_has_tried_to_sign_in() -> None:
    cache.clear()


def test_people_sign_in_and_out_with_a_password(pi: User) -> None:
    pi.set_password(PASSWORD)
    pi.save()
    client = Client()
    wrong = client.post("/login/", {"username": "ines", "password": "wrong"})
    assert "do not go together" in wrong.content.decode()
    right = client.post("/login/?next=/roster/", {"username": "ines", "password": PASSWORD})
    assert right.headers["Location"] == "/roster/"
    assert client.get("/account/").status_code == 200
    client.post("/logout/")
    assert client.get("/account/").status_code == 302


def test_guessing_one_persons_password_is_slowed_down_and_stops_nobody_else(pi: User) -> None:
    client = Client()
    attempt = {"username": "ines", "password": "wrong"}
    answers = [client.post("/login/", attempt).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]
    assert client.post("/login/", {**attempt, "username": "ruth"}).status_code == 200


def test_a_key_counts_once_the_roster_lists_it_and_the_page_says_so(
    house: House, reviewer: User
) -> None:
    client = signed_in(reviewer)

    def register(name: str, seed: str) -> str:
        key = signing_key(seed)
        proof = key.sign(registration_message(reviewer.member_id)).hex()
        public_key = key.public_key().public_bytes_raw().hex()
        sent = {"name": name, "public_key": public_key, "proof": proof}
        return client.post("/account/", sent, follow=True).content.decode()

    assert "Not in the roster yet" in register("Spare", "a spare key")
    listed = register("Laptop", "person m-ruth")
    assert "Listed in the roster" in listed
    assert "registered already" in register("Again", "person m-ruth")


def test_a_key_without_its_proof_is_refused_beside_the_field(reviewer: User) -> None:
    sent = {"name": "Mine", "public_key": "ab" * 32, "proof": "cd" * 64}
    page = signed_in(reviewer).post("/account/", sent).content.decode()
    assert 'href="#id_proof"' in page or 'href="#id_public_key"' in page
    assert not reviewer.signing_keys.exists()


def test_a_passkey_is_begun_for_the_person_and_a_made_up_answer_is_refused(
    reviewer: User,
) -> None:
    client = signed_in(reviewer)
    begun = client.post("/account/passkeys/begin/").json()
    assert begun["options"]["rp"]["id"] == "localhost"
    sent = {"name": "Phone", "state": begun["state"], "credential": "[]"}
    page = client.post("/account/passkeys/", sent, follow=True).content.decode()
    assert "The browser sent no passkey" in page


def test_an_invited_person_chooses_a_password_by_a_link_that_only_they_get(
    portal_operator: User,
) -> None:
    sent = {
        "first_name": "Eve", "last_name": "Alder", "email": "eve@alder.example",
        "username": "eve", "organisation": str(portal_operator.organisation_id),
        "roles": ["steward"],
    }  # fmt: skip
    page = signed_in(portal_operator).post("/people/new/", sent, follow=True).content.decode()
    (letter,) = mail.outbox
    assert letter.to == ["eve@alder.example"]
    link = re.search(r"/welcome/\S+", str(letter.body))
    assert link is not None
    assert link[0] not in page, "who invites must not be able to sign in as the person"
    guest = Client()
    form = guest.get(link[0], follow=True)
    chosen = {"new_password1": PASSWORD, "new_password2": PASSWORD}
    guest.post(form.redirect_chain[-1][0], chosen)
    assert guest.login(username="eve", password=PASSWORD)
    assert "has been used" in Client().get(link[0], follow=True).content.decode()


def test_roles_that_do_not_go_together_change_nothing(portal_operator: User, steward: User) -> None:
    client = signed_in(portal_operator)
    sent = {"roles": ["portal_operator", "steward"]}
    page = client.post(f"/people/{steward.member_id}/", sent).content.decode()
    assert "can neither decide nor read results" in page
    assert [row.role for row in Membership.objects.filter(user=steward)] == ["steward"]
    client.post(f"/people/{steward.member_id}/", {"roles": ["auditor"]})
    assert [row.role for row in Membership.objects.filter(user=steward)] == ["auditor"]


def test_an_enrolment_token_is_shown_once_and_kept_nowhere(portal_operator: User) -> None:
    client = signed_in(portal_operator)
    client.post("/people/organisations/new/", {"name": "Dune Clinic", "slug": "dune-clinic"})
    sent = {"organisation": _organisation("dune-clinic"), "slug": "dune"}
    answer = client.post("/people/sites/new/", sent)
    token = re.search(r'data-testid="enrolment-token">([^<]+)<', answer.content.decode())
    assert token is not None
    assert answer.headers["Cache-Control"] == "no-store"
    assert token[1] not in str(Site.objects.filter(slug="dune").values().get())
    assert token[1] not in client.get("/people/").content.decode()


def test_a_closed_account_is_out_at_once(portal_operator: User, steward: User) -> None:
    theirs = signed_in(steward)
    assert theirs.get("/account/").status_code == 200
    signed_in(portal_operator).post(f"/people/{steward.member_id}/deactivation/")
    assert theirs.get("/account/").status_code == 302


def _organisation(slug: str) -> str:
    from accounts.models import Organisation

    return str(Organisation.objects.get(slug=slug).pk)
