"""A drafted roster, once signed, continues the chain that sites follow."""

from typing import Any

import pytest

from accounts.actions import deactivate_person, register_signing_key
from accounts.errors import ActionRefusedError
from accounts.models import User
from governance import actions
from governance.errors import RosterError
from governance.queries import current_roster
from governance.roster_draft import draft_roster
from governance.statements.envelope import add_ed25519
from tests.factories.evidence import Consortium
from tests.factories.portal import House


def portal_of(house: House) -> dict[str, Any]:
    return dict(house.consortium.roster_payload()["portal"])


@pytest.fixture
def house_with_keys(house: House) -> House:
    for member, user in house.people.items():
        document = house.consortium.person(member).key.to_json()
        register_signing_key(user=user, document=document, name="laptop", by=user)
    return house


def test_the_next_version_lists_who_and_what_the_portal_knows(house_with_keys: House) -> None:
    house = house_with_keys
    left = User.objects.get(member_id="m-otto")
    deactivate_person(user=left, by=house.people["m-pete"])
    envelope = draft_roster()
    for member in ("m-ruth", "m-carl"):
        envelope = add_ed25519(envelope, house.consortium.person(member).private_key)
    actions.publish_roster(envelope=envelope.to_json(), by=house.people["m-pete"])
    roster = current_roster()
    assert (roster.version, roster.previous) == (2, Consortium().pinned)
    assert {member.id for member in roster.members} == set(house.people) - {"m-otto"}
    assert roster.rules.cosignatures == 3
    ruth = roster.member("m-ruth")
    assert ruth is not None
    assert ruth.keys == (house.consortium.person("m-ruth").key,)


def test_a_draft_without_enough_sites_to_witness_is_refused(house_with_keys: House) -> None:
    from accounts.models import Site

    Site.objects.exclude(slug="alder").update(identity_key="")
    with pytest.raises(RosterError, match="sites"):
        draft_roster()


def test_the_first_roster_needs_the_portals_own_keys(house_with_keys: House) -> None:
    from governance.models import RosterVersion

    RosterVersion.objects.all().delete()
    with pytest.raises(ActionRefusedError, match="No roster"):
        draft_roster()
    payload = draft_roster(portal=portal_of(house_with_keys)).payload
    assert (payload["version"], payload["previous"]) == (1, None)
    assert payload["rules"]["cosignatures"] == 3
