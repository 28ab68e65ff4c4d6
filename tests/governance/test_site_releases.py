"""The site's own gate in the portal: its stewards are asked, and their word goes to the site."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from rest_framework.test import APIClient

from accounts.errors import ActionRefusedError, NotPermittedError
from accounts.models import Site
from audit import log
from governance import actions, statement_requests
from governance.models import Notification, Release, SiteRelease
from governance.release import note_awaiting
from governance.statements.envelope import Envelope, add_ed25519
from tests.factories.portal import House


@pytest.fixture
def release(house: House) -> Release:
    """Return a release for which alder and birch wait for their stewards."""
    return house.awaiting_release("alder", "birch")


def sign(house: House, release: Release, member: str, decision: str = "release") -> SiteRelease:
    """Have `member` sign about the share of alder."""
    by, alder = house.people[member], Site.objects.get(slug="alder")
    asked = statement_requests.request_site_release(
        release=release, site=alder, decision=decision, by=by
    )
    envelope = house.sign(asked, member)
    return actions.sign_site_release(release=release, site=alder, envelope=envelope, by=by)


@pytest.mark.parametrize("decision", ["release", "refuse"])
def test_a_stewards_word_is_kept_and_logged(decision: str, house: House, release: Release) -> None:
    stored = sign(house, release, "m-ada", decision)
    entry = log.entry(stored.log_index)
    assert (entry.event, entry.data["site"]) == ("release.share_signed", "alder")
    assert entry.data["statement_digest"] == stored.digest
    with pytest.raises(ActionRefusedError, match="has decided about this share"):
        sign(house, release, "m-ada")


@pytest.mark.parametrize("member", ["m-ben", "m-ruth", "m-ines", "m-pete"])
def test_nobody_but_the_sites_own_steward_is_asked(
    member: str, house: House, release: Release
) -> None:
    with pytest.raises(NotPermittedError):
        sign(house, release, member)


def test_a_share_that_does_not_wait_is_not_released(house: House, release: Release) -> None:
    note_awaiting(release.run, "alder", awaiting=False)
    release.refresh_from_db()
    assert release.awaiting == ["birch"]
    with pytest.raises(ActionRefusedError, match="waits for nobody's release"):
        sign(house, release, "m-ada")


def test_the_sites_stewards_are_told_once(
    house: House, release: Release, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    told = Notification.objects.filter(text__contains="release the share of cedar")
    with django_capture_on_commit_callbacks(execute=True):
        note_awaiting(release.run, "cedar", awaiting=True)
        note_awaiting(release.run, "cedar", awaiting=True)
    assert [row.user.member_id for row in told] == ["m-cleo"]
    assert [message.to for message in mail.outbox] == [["cleo@cedar.example"]]


def test_the_pages_lead_a_steward_to_the_decision(house: House, release: Release) -> None:
    study, run = release.run.study, release.run
    client = Client()
    client.force_login(house.people["m-ada"])
    assert "Release the share of alder" in client.get("/").content.decode()
    address = f"/studies/{study.identifier}/runs/{run.identifier}/share/alder/"
    assert address in client.get(f"/studies/{study.identifier}/").content.decode()
    assert "the result of this run is never opened" in client.get(address).content.decode()
    asked = client.post(address, {"step": "prepare", "decision": "refuse"}).content.decode()
    assert f"refuse the share of alder in run {run.identifier}" in asked
    elsewhere = f"/studies/{study.identifier}/runs/{run.identifier}/share/birch/"
    assert client.get(elsewhere).status_code == 404


def test_over_the_api(house: House, release: Release) -> None:
    client = APIClient()
    client.force_authenticate(house.people["m-ada"])
    address = f"/api/v1/runs/{release.run.identifier}/shares/alder/"
    asked = client.post(f"{address}request/", {"decision": "release"}, format="json").json()
    envelope = add_ed25519(
        Envelope.parse(asked["unsigned"]), house.consortium.person("m-ada").private_key
    )
    answer = client.post(address, {"envelope": envelope.to_json()}, format="json")
    assert (answer.status_code, answer.json()["decision"]) == (201, "release")
    elsewhere = f"/api/v1/runs/{release.run.identifier}/shares/birch/"
    assert client.post(elsewhere, {}, format="json").status_code == 404
