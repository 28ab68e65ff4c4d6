"""The roster: what it may say, and how trust passes from the pinned version to the newest."""

import pytest

from accounts.roles import Role
from governance.errors import RosterError, StatementError
from governance.roster import Roster, digest_of_fingerprint, verify_chain
from governance.roster_entries import ROLES
from governance.statements.envelope import Kind, unsigned
from tests.factories.authenticator import Authenticator
from tests.factories.evidence import PEOPLE, REVIEWERS, SITES, Consortium, Person

CONSORTIUM = Consortium()


def successor(consortium=CONSORTIUM, *, signed_by=REVIEWERS, after=None, **changes):
    """Return the roster that follows `after`, signed by people of the consortium."""
    before = after or consortium.roster_envelope
    payload = {
        **consortium.roster_payload(),
        "version": before.payload["version"] + 1,
        "previous": before.digest,
        **changes,
    }
    return consortium.sign_by(Kind.ROSTER, payload, signed_by)


def test_roles_are_those_of_the_portal():
    assert set(ROLES) == set(Role.values)


def test_the_first_version_is_known_by_its_fingerprint():
    roster = verify_chain([CONSORTIUM.roster_envelope], pinned=CONSORTIUM.pinned)
    assert roster.version == 1
    assert len(roster.fingerprint.split(" ")) == 16
    assert digest_of_fingerprint(roster.fingerprint.upper()) == CONSORTIUM.pinned
    assert verify_chain([CONSORTIUM.roster_envelope], pinned=roster.fingerprint) == roster


def test_people_and_sites_are_found_by_what_statements_call_them():
    roster = CONSORTIUM.roster
    ruth = CONSORTIUM.person("m-ruth")
    assert roster.member_for(ruth.key.id) == roster.member("m-ruth")
    assert roster.member_for("ed25519:" + "0" * 64) is None
    assert roster.site("alder").organisation == "alder-hospital"
    assert [witness.name for witness in roster.witnesses()] == list(SITES)


def test_a_later_version_is_believed_by_the_quorum_of_its_predecessor():
    second = successor()
    third = successor(after=second, signed_by=("m-rosa", "m-carl"))
    chain = [CONSORTIUM.roster_envelope, second, third]
    assert verify_chain(chain, pinned=CONSORTIUM.pinned).version == 3


def test_a_passkey_signs_a_roster_too():
    authenticator = Authenticator("m-ruth")
    members = [person.to_json() for person in PEOPLE]
    ruth = next(member for member in members if member["id"] == "m-ruth")
    ruth["keys"].append(authenticator.key.to_json())
    first = CONSORTIUM.sign_by(
        Kind.ROSTER, {**CONSORTIUM.roster_payload(), "members": members}, REVIEWERS
    )
    assert Roster.parse(first).member_for(authenticator.key.id).id == "m-ruth"


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        pytest.param([], "no roster", id="empty"),
        pytest.param(
            [successor(), CONSORTIUM.roster_envelope], "fingerprint", id="another first version"
        ),
        pytest.param(
            [CONSORTIUM.roster_envelope, successor(signed_by=("m-ruth",))],
            "version 2: it needs 2 members",
            id="one signature",
        ),
        pytest.param(
            [CONSORTIUM.roster_envelope, successor(signed_by=("m-ruth", "m-ben"))],
            "has 1 of 1",
            id="a steward's signature",
        ),
        pytest.param(
            [CONSORTIUM.roster_envelope, successor(previous="0" * 64)],
            "does not follow",
            id="another predecessor",
        ),
        pytest.param(
            [CONSORTIUM.roster_envelope, successor(version=3)], "does not follow", id="a gap"
        ),
        pytest.param(
            [CONSORTIUM.roster_envelope, CONSORTIUM.roster_envelope],
            "does not follow",
            id="one version twice",
        ),
    ],
)
def test_a_chain_that_does_not_lead_back_is_refused(chain, reason):
    with pytest.raises(RosterError, match=reason) as refused:
        verify_chain(chain, pinned=CONSORTIUM.pinned)
    assert refused.value.code == "roster_unverified"


def test_an_unsigned_first_version_is_refused_even_when_pinned():
    envelope = unsigned(Kind.ROSTER, CONSORTIUM.roster_payload())
    with pytest.raises(RosterError, match="has 0 of 0"):
        verify_chain([envelope], pinned=envelope.digest)


def test_newcomers_cannot_vote_themselves_in():
    mallory = Person("m-mallory", "Mallory", "birch-hospital", ("chair",))
    marvin = Person("m-marvin", "Marvin", "cedar-hospital", ("chair",))
    invaded = Consortium(people=(*PEOPLE, mallory, marvin))
    second = successor(
        invaded,
        after=CONSORTIUM.roster_envelope,
        signed_by=("m-mallory", "m-marvin"),
    )
    with pytest.raises(RosterError, match="has 0 of 0"):
        verify_chain([CONSORTIUM.roster_envelope, second], pinned=CONSORTIUM.pinned)


def test_one_member_with_two_keys_is_one_signer():
    ruth = CONSORTIUM.person("m-ruth")
    second_key = CONSORTIUM.person("m-ines").key.to_json()
    members = [
        {**person.to_json(), "keys": [ruth.key.to_json(), second_key]}
        if person is ruth
        else {**person.to_json(), "keys": [] if person.id == "m-ines" else [person.key.to_json()]}
        for person in PEOPLE
    ]
    payload = {**CONSORTIUM.roster_payload(), "members": members}
    envelope = CONSORTIUM.sign_by(Kind.ROSTER, payload, ("m-ruth", "m-ines"))
    assert [member.id for member in Roster.parse(envelope).signers(envelope)] == ["m-ruth"]


def changed(field, change):
    value = CONSORTIUM.roster_payload()[field]
    return {field: change(value)}


def rules(**changes):
    return changed("rules", lambda value: {**value, **changes})


def portal(**changes):
    return changed("portal", lambda value: {**value, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"previous": "0" * 64}, "predecessor", id="a first version with predecessor"),
        pytest.param({"version": 2}, "predecessor", id="a second version without"),
        pytest.param({"issued_at": "2026-02-30T00:00:00Z"}, "moment", id="a day that is not"),
        pytest.param({"extra": 1}, "no other fields", id="a field too many"),
        pytest.param(changed("members", lambda m: [*m, m[0]]), "members: expected", id="a twin"),
        pytest.param(
            changed("members", lambda m: [*m, {**m[0], "id": "m-twin"}]), "keys:", id="a shared key"
        ),
        pytest.param(
            changed("members", lambda m: [{**m[0], "organisation": "x"}, *m[1:]]),
            "m-ines: expected an organisation",
            id="an unknown organisation",
        ),
        pytest.param(
            changed("sites", lambda s: [*s, {**s[0], "id": "x"}]),
            "identity keys",
            id="a site twice",
        ),
        pytest.param(rules(cosignatures=2), "2k > n", id="two of three cosignatures"),
        pytest.param(rules(cosignatures=4), "k <= n", id="four of three cosignatures"),
        pytest.param(
            rules(roster={"approvals": 4, "organisations": 2}), "never be met", id="too high a bar"
        ),
        pytest.param(portal(log_key="x"), "log_key", id="no log key"),
        pytest.param(portal(log_origin="other.test/log"), "named log_origin", id="another's log"),
    ],
)
def test_a_roster_that_does_not_hold_together_is_refused(changes, reason):
    payload = {**CONSORTIUM.roster_payload(), **changes}
    with pytest.raises(RosterError, match=reason) as refused:
        Roster.parse(CONSORTIUM.sign_by(Kind.ROSTER, payload, REVIEWERS))
    assert refused.value.code == "roster_malformed"


@pytest.mark.parametrize(
    ("sites", "quorum"), [(2, 2), (3, 3), (4, 3), (5, 4), (6, 4), (7, 5), (10, 6)]
)
def test_two_histories_would_need_two_sites_that_cosign_both(sites, quorum):
    entries = [
        {
            "id": f"site-{number}",
            "organisation": "alder-hospital",
            "identity_key": bytes([number] * 32).hex(),
        }
        for number in range(sites)
    ]

    def parse(cosignatures):
        payload = {
            **CONSORTIUM.roster_payload(),
            "sites": entries,
            **rules(cosignatures=cosignatures),
        }
        return Roster.parse(unsigned(Kind.ROSTER, payload))

    assert parse(quorum).rules.cosignatures == quorum
    # Two quorums of k overlap in at least 2k - n sites: more than the one that may lie.
    assert 2 * quorum - sites >= 2
    with pytest.raises(RosterError):
        parse(quorum - 1)


def test_another_statement_is_no_roster():
    with pytest.raises((RosterError, StatementError), match="expected a roster"):
        Roster.parse(CONSORTIUM.class_decision("m-ruth"))
