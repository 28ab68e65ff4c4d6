"""Every statement that a site relies on, spoilt in every way that a portal could think of.

The portal has all genuine statements and no private key. Of one kind it spoils one statement, so
that one member short of the quorum, or one site's word, is left. Each time the site refuses, with
the reason that names the kind; nothing is given away, and the truth told later changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from governance.statements.envelope import Envelope, Kind, add_ed25519, unsigned
from governance.statements.keys import Key, to_base64
from studies.documents import format_moment
from tests.factories.evidence import (
    AGREEMENT,
    NOW,
    PEOPLE,
    SIGNED_AT,
    SITES,
    Consortium,
    Person,
    signing_key,
)
from tests.workers.party.consortium_site import Attempt, make_home
from tests.workers.party.conversation import nothing_given_away
from tests.workers.party.lying_portal import lying_portal
from workers.transport.control import Message

CONSORTIUM = Consortium(rules={"agreement": AGREEMENT})
PLAN = CONSORTIUM.plan()
OTHER_PLAN = CONSORTIUM.plan(study="st-other")
NEXT_PLAN = CONSORTIUM.plan(version=2)
PAST = format_moment(NOW - timedelta(seconds=1))
FUTURE = format_moment(NOW + timedelta(minutes=6))
TOO_LONG = format_moment(SIGNED_AT + timedelta(days=31))
SIX_YEARS = format_moment(SIGNED_AT + timedelta(days=6 * 366))


@dataclass(frozen=True)
class Target:
    """One kind of statement: where evidence lists it, who makes it, what its lack is called."""

    field: str
    make: Callable[..., Envelope]
    signer: str
    missing: str
    expired: str
    decisions: Mapping[str, str]
    too_long: str = TOO_LONG


TARGETS = {
    "class approval": Target(
        "class_approvals",
        lambda **changes: CONSORTIUM.class_decision("m-ruth", **changes),
        "m-ruth",
        "class_quorum_missing",
        "class_approval_expired",
        {"reject": "class_quorum_missing", "revoke": "class_revoked"},
    ),
    "study approval": Target(
        "study_approvals",
        lambda **changes: CONSORTIUM.review("m-ruth", PLAN, **changes),
        "m-ruth",
        "study_quorum_missing",
        "study_approval_expired",
        {
            "return": "study_quorum_missing",
            "reject": "study_quorum_missing",
            "revoke": "study_revoked",
        },
    ),
    "own consent": Target(
        "consents",
        lambda **changes: CONSORTIUM.consent("alder", PLAN, **changes),
        "m-ada",
        "consent_missing",
        "consent_expired",
        {"decline": "consent_declined", "withdraw": "consent_withdrawn"},
    ),
    "another site's consent": Target(
        "consents",
        lambda **changes: CONSORTIUM.consent("birch", PLAN, **changes),
        "m-ben",
        "consent_missing",
        "consent_expired",
        {"decline": "consent_declined", "withdraw": "consent_withdrawn"},
    ),
    "agreement": Target(
        "agreements",
        lambda **changes: CONSORTIUM.agreement("birch", **changes),
        "m-ben",
        "agreement_missing",
        "agreement_expired",
        {"end": "agreement_ended"},
        SIX_YEARS,
    ),
}


def genuine() -> dict[str, tuple[Envelope, ...]]:
    """Return all that shows that the study may run."""
    evidence = CONSORTIUM.evidence(PLAN)
    agreements = tuple(CONSORTIUM.agreement(site) for site in SITES)
    return {
        "class_approvals": evidence.class_approvals,
        "study_approvals": evidence.study_approvals,
        "consents": evidence.consents,
        "agreements": agreements,
    }


def with_(target: Target, *instead: Any) -> Message:
    """Return the invitation with `instead` in place of the target's statement.

    What is no envelope, but the JSON of one, is put into the message as it is.
    """
    lists = genuine()
    spoilt = target.make()
    lists[target.field] = tuple(
        envelope for envelope in lists[target.field] if envelope.digest != spoilt.digest
    )
    envelopes = [item for item in instead if isinstance(item, Envelope)]
    lists[target.field] += tuple(envelopes)
    message = Attempt(CONSORTIUM, PLAN).invitation(**lists)
    raw = [item for item in instead if not isinstance(item, Envelope)]
    message["evidence"][target.field] += raw
    return message


def resigned(envelope: Envelope, payload: Mapping[str, Any], key: str) -> Envelope:
    """Return `payload` as a statement of the same kind, signed by the key of `key`."""
    return add_ed25519(unsigned(envelope.kind, payload), signing_key(key))


def forged(target: Target) -> Envelope:
    """Return the statement with a stranger's signature under the signer's key id."""
    envelope = target.make()
    (honest,) = envelope.signatures
    made = signing_key("mallory").sign(envelope.pae())
    return replace(envelope, signatures=(replace(honest, sig=made),))


def altered(target: Target) -> Envelope:
    """Return the statement with one word changed after it was signed."""
    envelope = target.make()
    payload = {**envelope.payload, "comment": "altered"}
    return replace(unsigned(envelope.kind, payload), signatures=envelope.signatures)


def raised(target: Target) -> Envelope:
    """Return the statement dated to hold for longer, after it was signed."""
    envelope = target.make(valid_until=PAST)
    payload = {**envelope.payload, "valid_until": target.make().payload["valid_until"]}
    return replace(unsigned(envelope.kind, payload), signatures=envelope.signatures)


def moved(target: Target) -> Envelope:
    """Return a genuine signature of the same person, over something else, on this statement."""
    elsewhere = target.make(comment="something else")
    return replace(target.make(), signatures=elsewhere.signatures)


def body(target: Target, change: Callable[[bytes], bytes]) -> dict[str, Any]:
    """Return the envelope with its payload's bytes changed."""
    envelope = target.make()
    return {**envelope.to_json(), "payload": to_base64(change(envelope.body))}


def another_kind(target: Target) -> dict[str, Any]:
    """Return the envelope under the media type of another kind."""
    envelope = target.make()
    kinds = [kind for kind in (Kind.CONSENT, Kind.STUDY_APPROVAL) if kind is not envelope.kind]
    return {**envelope.to_json(), "payloadType": kinds[0].payload_type}


def twice_signed(target: Target) -> dict[str, Any]:
    """Return the envelope with its one signature written twice."""
    value = target.make().to_json()
    return {**value, "signatures": value["signatures"] * 2}


def with_field(target: Target) -> dict[str, Any]:
    """Return the envelope with a field that statements do not have."""
    envelope = target.make()
    payload = {**envelope.payload, "also": "this"}
    return unsigned(envelope.kind, payload).to_json()


def no_passkey(target: Target) -> dict[str, Any]:
    """Return the envelope whose signature claims to be a passkey's."""
    value = target.make().to_json()
    ((signature,), extra) = value["signatures"], {"authenticatorData": "AAAA", "clientDataJSON": ""}
    return {**value, "signatures": [{**signature, "webauthn": extra}]}


MISSING = "the code of its lack"
EXPIRED = "the code of its expiry"
MALFORMED = "evidence_malformed"
SPOILS: dict[str, tuple[str, Callable[[Target], Any]]] = {
    "left out": (MISSING, lambda t: None),
    "forged": (MISSING, forged),
    "altered after it was signed": (MISSING, altered),
    "its validity raised after it was signed": (MISSING, raised),
    "unsigned": (MISSING, lambda t: replace(t.make(), signatures=())),
    "with a signature moved from another statement": (MISSING, moved),
    "signed by a stranger": (
        MISSING,
        lambda t: resigned(t.make(), t.make().payload, "mallory"),
    ),
    "signed by another member in its signer's name": (
        MISSING,
        lambda t: resigned(t.make(), t.make().payload, "person m-carl"),
    ),
    "signed by the site's own identity": (
        MISSING,
        lambda t: resigned(t.make(), t.make().payload, "site alder"),
    ),
    "in the name of nobody": (
        MISSING,
        lambda t: resigned(t.make(), {**t.make().payload, "member": "m-nobody"}, "mallory"),
    ),
    "for another organisation": (MISSING, lambda t: t.make(organisation="cedar-hospital")),
    "issued in the future": (MISSING, lambda t: t.make(issued_at=FUTURE)),
    "holding too long": (MISSING, lambda t: t.make(valid_until=t.too_long)),
    "expired a second ago": (EXPIRED, lambda t: t.make(valid_until=PAST)),
    "cut short": (MALFORMED, lambda t: body(t, lambda b: b[:-2])),
    "cut to nothing": (MALFORMED, lambda t: body(t, lambda b: b"{}")),
    "with a space": (MALFORMED, lambda t: body(t, lambda b: b + b" ")),
    "with a key twice": (MALFORMED, lambda t: body(t, lambda b: b[:-1] + b',"type":"x"}')),
    "with a field too many": (MALFORMED, with_field),
    "under another kind's type": (MALFORMED, another_kind),
    "with one signature written twice": (MALFORMED, twice_signed),
    "with a passkey's evidence on another key": (MALFORMED, no_passkey),
}  # fmt: skip
CASES = [(name, how) for name in TARGETS for how in SPOILS] + [
    (name, f"decided: {word}") for name, target in TARGETS.items() for word in target.decisions
]


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """Return the folder of alder, in a consortium that asks for an agreement."""
    return make_home(tmp_path / "alder", CONSORTIUM)


async def refuses(site: Any, message: Message, code: str) -> None:
    """Tell the site `message` and assert that it refuses for the reason `code`, for good."""
    async with lying_portal(site, lambda *_: None) as portal:
        answer = await portal.ask(message)
        assert (answer["type"], answer.get("code")) == ("refusal", code), answer
        honest = Attempt(CONSORTIUM, PLAN).invitation(**genuine())
        assert (await portal.ask(honest))["code"] == code
    assert nothing_given_away(site)


@pytest.mark.parametrize(("name", "how"), CASES, ids=[f"{a}: {b}" for a, b in CASES])
async def test_a_spoilt_statement_is_refused_for_its_own_reason(
    name: str, how: str, site: Any
) -> None:
    target = TARGETS[name]
    if how.startswith("decided: "):
        word = how.removeprefix("decided: ")
        code, instead = target.decisions[word], target.make(decision=word)
    else:
        code, spoil = SPOILS[how]
        code = {MISSING: target.missing, EXPIRED: target.expired}.get(code, code)
        instead = spoil(target)
    message = with_(target) if instead is None else with_(target, instead)
    await refuses(site, message, code)


REPLAYED: dict[str, tuple[str, Callable[[], Message]]] = {
    "a class approval of another class": (
        "class_quorum_missing",
        lambda: with_(
            TARGETS["class approval"],
            CONSORTIUM.class_decision("m-ruth", class_digest="0" * 64),
        ),
    ),
    "a review of another study": (
        "study_quorum_missing",
        lambda: with_(TARGETS["study approval"], CONSORTIUM.review("m-ruth", OTHER_PLAN)),
    ),
    "a review of another version": (
        "study_quorum_missing",
        lambda: with_(TARGETS["study approval"], CONSORTIUM.review("m-ruth", NEXT_PLAN)),
    ),
    "a review of this digest under another version's number": (
        "study_quorum_missing",
        lambda: with_(
            TARGETS["study approval"], CONSORTIUM.review("m-ruth", PLAN, study_version=2)
        ),
    ),
    "a consent to another study": (
        "consent_missing",
        lambda: with_(TARGETS["own consent"], CONSORTIUM.consent("alder", OTHER_PLAN)),
    ),
    "a consent to another version": (
        "consent_missing",
        lambda: with_(TARGETS["own consent"], CONSORTIUM.consent("alder", NEXT_PLAN)),
    ),
    "another site's consent in place of this one's": (
        "consent_missing",
        lambda: with_(TARGETS["own consent"], CONSORTIUM.consent("cedar", PLAN)),
    ),
    "an agreement to another contract": (
        "agreement_missing",
        lambda: with_(
            TARGETS["agreement"], CONSORTIUM.agreement("birch", agreement_digest="0" * 64)
        ),
    ),
    "one reviewer's approval twice": (
        "study_quorum_missing",
        lambda: with_(
            TARGETS["study approval"],
            CONSORTIUM.review("m-carl", PLAN, comment="again"),
        ),
    ),
    "one member's class approval twice": (
        "class_quorum_missing",
        lambda: with_(
            TARGETS["class approval"], CONSORTIUM.class_decision("m-carl", comment="again")
        ),
    ),
    "the author's own consent for their hospital": (
        "consent_missing",
        lambda: with_(TARGETS["own consent"], CONSORTIUM.consent("alder", PLAN, signer="m-ines")),
    ),
    "a withdrawal told before the consent that it followed": (
        "consent_withdrawn",
        lambda: with_(
            TARGETS["own consent"],
            CONSORTIUM.consent("alder", PLAN, decision="withdraw", issued_at=format_moment(NOW)),
            CONSORTIUM.consent("alder", PLAN),
        ),
    ),
    "a revocation told before the approval that it followed": (
        "study_revoked",
        lambda: with_(
            TARGETS["study approval"],
            CONSORTIUM.review("m-ruth", PLAN, decision="revoke", issued_at=format_moment(NOW)),
            CONSORTIUM.review("m-ruth", PLAN),
        ),
    ),
}


@pytest.mark.parametrize("what", REPLAYED)
async def test_a_genuine_statement_in_the_wrong_place_is_refused(what: str, site: Any) -> None:
    code, build = REPLAYED[what]
    await refuses(site, build(), code)


async def test_with_nothing_spoilt_the_site_takes_part(site: Any) -> None:
    async with lying_portal(site, lambda *_: None) as portal:
        honest = Attempt(CONSORTIUM, PLAN).invitation(**genuine())
        assert (await portal.ask(honest))["type"] == "key_offer"


async def test_one_person_with_two_keys_is_one_member(tmp_path: Path) -> None:
    spare = signing_key("spare key of ruth")
    two_keys = Person("m-ruth", "Ruth Birch", "birch-hospital", ("reviewer",), (public(spare),))
    people = tuple(two_keys if person.id == "m-ruth" else person for person in PEOPLE)
    consortium = Consortium(people=people)
    plan = consortium.plan()
    first = consortium.review("m-ruth", plan)
    second = add_ed25519(unsigned(first.kind, {**first.payload, "comment": "me again"}), spare)
    both = add_ed25519(first, spare)
    home = make_home(tmp_path / "alder", consortium)
    async with lying_portal(home, lambda *_: None) as portal:
        for number, approvals in enumerate(((first, second), (both,), (both, second))):
            attempt = Attempt(consortium, plan, run=f"run-{number}", session=f"{number}e" * 16)
            answer = await portal.ask(attempt.invitation(study_approvals=approvals))
            assert (answer["type"], answer.get("code")) == ("refusal", "study_quorum_missing")
    assert nothing_given_away(home)


async def test_whoever_was_removed_votes_no_more(tmp_path: Path) -> None:
    """Their approval is genuine, and older than the roster that removed them."""
    consortium = Consortium()
    payload = consortium.roster_payload()
    members = [member for member in payload["members"] if member["id"] != "m-carl"]
    second = consortium.sign_by(
        Kind.ROSTER,
        {**payload, "version": 2, "previous": consortium.pinned, "members": members},
        ("m-ruth", "m-rosa"),
    )
    home = make_home(tmp_path / "alder", consortium)
    rosters = (consortium.roster_envelope, second)
    plan = consortium.plan()
    classes = tuple(consortium.class_decision(member) for member in ("m-ruth", "m-rosa"))
    async with lying_portal(home, lambda *_: None) as portal:
        attempt = Attempt(consortium, plan)
        answer = await portal.ask(attempt.invitation(rosters=rosters, class_approvals=classes))
        assert (answer["type"], answer.get("code")) == ("refusal", "study_quorum_missing")
    assert nothing_given_away(home)


async def test_a_revocation_hidden_past_its_approvals_end_changes_nothing(
    tmp_path: Path,
) -> None:
    """The trust table says until when a portal can hide it: until what it contradicts runs out."""
    consortium = Consortium()
    plan = consortium.plan()
    ended = tuple(
        consortium.review(member, plan, valid_until=PAST) for member in ("m-ruth", "m-carl")
    )
    home = make_home(tmp_path / "alder", consortium)
    async with lying_portal(home, lambda *_: None) as portal:
        answer = await portal.ask(Attempt(consortium, plan).invitation(study_approvals=ended))
        assert (answer["type"], answer.get("code")) == ("refusal", "study_approval_expired")


def public(key: Any) -> Any:
    """Return the public half of `key` as the roster lists it."""
    return Key.ed25519(key.public_key().public_bytes_raw())


def test_the_genuine_message_is_none_of_these() -> None:
    honest = Attempt(CONSORTIUM, PLAN).invitation(**genuine())
    told = {json.dumps(with_(TARGETS[name], *spoilt(name, how))) for name, how in CASES}
    assert json.dumps(honest) not in told
    assert len(told) == len(CASES), "every case is a message of its own"


def spoilt(name: str, how: str) -> tuple[Any, ...]:
    """Return what stands in place of the target's statement, if anything does."""
    target = TARGETS[name]
    if how.startswith("decided: "):
        return (target.make(decision=how.removeprefix("decided: ")),)
    instead = SPOILS[how][1](target)
    return () if instead is None else (instead,)
