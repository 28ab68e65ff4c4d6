"""Will it be refused? From what sites have registered and published, and as advice only."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Site
from audit import log
from governance import actions
from governance.errors import StatementError
from governance.foresight import Foreseen, Verdict, foresee
from governance.models import SitePolicy
from governance.statements.registers import DataSetRegister
from studies.actions import plan_of
from tests.factories.evidence import AGREEMENT, Consortium
from tests.factories.portal import House, build_house
from workers.party.policy import Choices

STANDARD = Choices().to_cedar()


def register(house: House, site: str, **changes: Any) -> None:
    """Have the portal know the data set of `site`, as its agent's hello would tell."""
    said = DataSetRegister.of(house.consortium.register(site, **changes)).to_json()
    Site.objects.filter(slug=site).update(data_sets=said["data_sets"])


def publish(house: House, site: str, text: str = STANDARD, **changes: Any) -> SitePolicy:
    """Have the portal know the policy of `site`."""
    return actions.record_site_policy(
        site=Site.objects.get(slug=site),
        envelope=house.consortium.policy(site, text, **changes).to_json(),
    )


def foreseen(house: House, **changes: Any) -> dict[str, Foreseen]:
    """Return what the three sites would say of a new draft."""
    plan = plan_of(house.draft(**changes).current)
    return {found.site.slug: found for found in foresee(plan, now=timezone.now())}


def test_allowed_refused_and_unknown_each_say_why(house: House) -> None:
    for site in ("alder", "birch", "cedar"):
        register(house, site)
    publish(house, "alder")
    publish(house, "birch", Choices(purposes=("quality",)).to_cedar())
    publish(house, "cedar", published=False)
    found = foreseen(house)
    assert [row.verdict for row in found.values()] == ["allowed", "refused", "unknown"]
    assert "(rule class)" in found["alder"].reason
    assert "Studies are for quality only (rule purpose)" in found["birch"].reason
    assert "keeps its policy to itself" in found["cedar"].reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "other"}, "has registered no data set called lung"),
        ({"format": "omop-csv"}, "does not read omop-csv"),
        ({"columns": ("time", "age")}, "has no column status or sex"),
        ({"budget_micro_epsilon": 1}, "costs more than lung may ever spend"),
    ],
)
def test_what_its_register_says_is_refused_before_its_policy_is_asked(
    changes: dict[str, Any], reason: str, house: House
) -> None:
    register(house, "alder", **changes)
    publish(house, "alder")
    found = foreseen(house)["alder"]
    assert found.verdict == Verdict.REFUSED
    assert reason in found.reason


def test_a_rehearsal_on_confidential_data_is_refused(house: House) -> None:
    register(house, "alder", kind="confidential")
    assert "confidential" in foreseen(house, mode="rehearsal")["alder"].reason


def test_a_missing_signature_under_the_agreement_is_said(db: None) -> None:
    house = build_house(consortium=Consortium(rules={"agreement": AGREEMENT}))
    register(house, "alder")
    publish(house, "alder")
    assert "has not signed the agreement" in foreseen(house)["alder"].reason


def test_an_agent_that_has_told_nothing_is_unknown(house: House) -> None:
    register(house, "alder")
    found = foreseen(house)["alder"]
    assert (found.verdict, "not told" in found.reason) == (Verdict.UNKNOWN, True)


def test_a_changed_policy_is_logged_by_digest_and_once(house: House) -> None:
    before = log.size()
    stored = publish(house, "alder")
    publish(house, "alder", published=False)  # the same rules, kept private now
    entries = log.entries(event="site.policy_changed")
    assert [entry.data["policy_digest"] for entry in entries[:]] == [stored.digest]
    assert log.size() == before + 1
    assert SitePolicy.objects.get().text == ""


def test_only_the_sites_own_identity_tells_of_its_policy(house: House) -> None:
    birchs = house.consortium.policy("birch", STANDARD).to_json()
    with pytest.raises(StatementError):
        actions.record_site_policy(site=Site.objects.get(slug="alder"), envelope=birchs)
    with pytest.raises(StatementError, match="whose digest the statement names"):
        publish(house, "alder", policy_digest="0" * 64)


def test_the_page_and_the_api_tell_the_same(house: House) -> None:
    register(house, "alder")
    publish(house, "alder")
    study = house.draft()
    client = Client()
    client.force_login(house.pi)
    page = client.get(f"/studies/{study.identifier}/").content.decode()
    assert "Will it be refused?" in page
    assert "(rule class)" in page
    api = APIClient()
    api.force_authenticate(house.pi)
    rows = api.get(f"/api/v1/studies/{study.identifier}/foresight/").json()
    assert [(row["site"], row["verdict"]) for row in rows] == [
        ("alder", "allowed"),
        ("birch", "refused"),
        ("cedar", "refused"),
    ]
