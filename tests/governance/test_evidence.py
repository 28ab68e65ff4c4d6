"""Evidence: complete and genuine evidence passes; spoil one thing and its own reason comes back."""

import dataclasses
import hashlib
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import canonical
from governance.errors import Refusal
from governance.evidence import Evidence, check_may_run
from governance.statements.envelope import Kind, add_signature, sign_ed25519, unsigned
from governance.statements.signatures import Signature
from studies.documents import format_moment
from tests.factories.authenticator import Authenticator
from tests.factories.evidence import (
    AGREEMENT,
    NOW,
    PEOPLE,
    REVIEWERS,
    SIGNED_AT,
    SITES,
    VALID_UNTIL,
    Consortium,
    Person,
    signing_key,
)

CONSORTIUM = Consortium()
PLAN = CONSORTIUM.plan()
GENUINE = CONSORTIUM.evidence(PLAN)
LATER = format_moment(SIGNED_AT + timedelta(hours=1))
REVOKED = {"decision": "revoke", "issued_at": LATER}


def judge(evidence, *, now=NOW, pinned=CONSORTIUM.pinned, **options):
    return check_may_run(evidence, pinned_roster=pinned, now=now, **options)


def refused(evidence, **options):
    with pytest.raises(Refusal) as caught:
        judge(evidence, **options)
    return caught.value


def spoilt(**changes):
    return dataclasses.replace(GENUINE, **changes)


def reviews(*members, **changes):
    return tuple(CONSORTIUM.review(member, PLAN, **changes) for member in members)


def consents(**by_site):
    """Return everybody's consent, with those of `by_site` replaced by what is given."""
    found = []
    for site in SITES:
        found += by_site.get(site, [CONSORTIUM.consent(site, PLAN)])
    return tuple(found)


def consent(site, **changes):
    return CONSORTIUM.consent(site, PLAN, **changes)


def forged(envelope):
    """Return the envelope with a signature that Mallory made under its signer's key id."""
    mallory = signing_key("mallory")
    honest = envelope.signatures[0]
    return add_signature(envelope, dataclasses.replace(honest, sig=mallory.sign(envelope.pae())))


def plan_altered_by_one_byte():
    body = GENUINE.plan.replace(b'"max_runs":3', b'"max_runs":4')
    assert body != GENUINE.plan
    return body


def evidence_for(plan_json):
    """Return evidence that approves a plan no author could have built."""
    body = canonical.dumps(plan_json)
    digest = hashlib.sha256(body).hexdigest()
    return spoilt(
        plan=body,
        study_approvals=reviews(*REVIEWERS, study_digest=digest),
        consents=tuple(consent(site, study_digest=digest) for site in SITES),
    )


def test_genuine_evidence_shows_that_the_study_may_run():
    verified = judge(GENUINE)
    assert verified.plan == PLAN
    assert verified.declaration is PLAN.declaration
    assert verified.roster.digest == CONSORTIUM.pinned


def test_evidence_comes_back_from_json_as_it_was():
    assert Evidence.parse(GENUINE.to_json()) == GENUINE


CASES = {
    "no roster": ("roster_unverified", spoilt(rosters=())),
    "an unsigned roster on top": (
        "roster_unverified",
        spoilt(
            rosters=(
                CONSORTIUM.roster_envelope,
                CONSORTIUM.sign_by(
                    Kind.ROSTER,
                    {
                        **CONSORTIUM.roster_payload(),
                        "version": 2,
                        "previous": CONSORTIUM.pinned,
                    },
                    (),
                ),
            )
        ),
    ),
    "a plan altered by one byte": (
        "plan_digest_mismatch",
        spoilt(plan=plan_altered_by_one_byte()),
    ),
    "a plan written with a space": (
        "plan_invalid",
        spoilt(
            plan=GENUINE.plan + b" ",
            study_approvals=reviews(
                *REVIEWERS, study_digest=hashlib.sha256(GENUINE.plan + b" ").hexdigest()
            ),
        ),
    ),
    "a plan with epsilon beyond the class": (
        "plan_invalid",
        evidence_for(
            CONSORTIUM.plan_json(privacy={"currency": "micro-epsilon", "epsilon": "9000"})
        ),
    ),
    "a plan with a site the roster does not list": (
        "plan_invalid",
        evidence_for(CONSORTIUM.plan_json(sites=["alder", "birch", "dogwood"])),
    ),
    "a class this software does not carry": (
        "class_unknown",
        evidence_for(
            CONSORTIUM.plan_json(**{"class": {"name": "median", "version": 1, "digest": "0" * 64}})
        ),
    ),
    "a class of another digest": (
        "class_digest_mismatch",
        evidence_for(
            CONSORTIUM.plan_json(
                **{"class": {"name": "kaplan-meier", "version": 1, "digest": "0" * 64}}
            )
        ),
    ),
    "another class document": (
        "class_digest_mismatch",
        spoilt(class_document=GENUINE.class_document + b" "),
    ),
    "no approval of the class": ("class_quorum_missing", spoilt(class_approvals=())),
    "one approval of the class": (
        "class_quorum_missing",
        spoilt(class_approvals=GENUINE.class_approvals[:1]),
    ),
    "approvals of another class": (
        "class_quorum_missing",
        spoilt(
            class_approvals=tuple(
                CONSORTIUM.class_decision(member, class_digest="0" * 64) for member in REVIEWERS
            )
        ),
    ),
    "an approval of the class that has ended": (
        "class_approval_expired",
        spoilt(
            class_approvals=(
                GENUINE.class_approvals[0],
                CONSORTIUM.class_decision("m-carl", valid_until=format_moment(NOW)),
            )
        ),
    ),
    "an approver who revokes": (
        "class_revoked",
        spoilt(
            class_approvals=(
                *GENUINE.class_approvals,
                CONSORTIUM.class_decision("m-carl", decision="revoke", issued_at=LATER),
            )
        ),
    ),
    "a quorum that revokes": (
        "class_revoked",
        spoilt(
            class_approvals=(
                *(CONSORTIUM.class_decision(m) for m in ("m-rosa", "m-ruth", "m-carl")),
                *(
                    CONSORTIUM.class_decision(m, decision="revoke", issued_at=LATER)
                    for m in ("m-ruth", "m-carl")
                ),
            )
        ),
    ),
    "a revocation from the same second as the approval": (
        "class_revoked",
        spoilt(
            class_approvals=(
                CONSORTIUM.class_decision("m-carl", decision="revoke"),
                *GENUINE.class_approvals,
            )
        ),
    ),
    "a revocation whose own time is over": (
        "class_revoked",
        spoilt(
            class_approvals=(
                *GENUINE.class_approvals,
                CONSORTIUM.class_decision(
                    "m-carl", decision="revoke", issued_at=LATER, valid_until=LATER
                ),
            )
        ),
    ),
    "no review": ("study_quorum_missing", spoilt(study_approvals=())),
    "one review": ("study_quorum_missing", spoilt(study_approvals=reviews("m-ruth"))),
    "one reviewer twice": (
        "study_quorum_missing",
        spoilt(study_approvals=reviews("m-ruth", "m-ruth")),
    ),
    "a steward's review": (
        "study_quorum_missing",
        spoilt(study_approvals=reviews("m-ruth", "m-cleo")),
    ),
    "a forged review": (
        "study_quorum_missing",
        spoilt(study_approvals=(*reviews("m-ruth"), *map(forged, reviews("m-carl")))),
    ),
    "a review in another's name": (
        "study_quorum_missing",
        spoilt(
            study_approvals=(
                *reviews("m-ruth"),
                sign_ed25519(
                    Kind.STUDY_APPROVAL,
                    reviews("m-carl")[0].payload,
                    CONSORTIUM.person("m-ruth").private_key,
                ),
            )
        ),
    ),
    "a review for another organisation": (
        "study_quorum_missing",
        spoilt(
            study_approvals=(
                *reviews("m-ruth"),
                CONSORTIUM.review("m-carl", PLAN, organisation="alder-hospital"),
            )
        ),
    ),
    "reviews of another version": (
        "study_quorum_missing",
        spoilt(study_approvals=reviews(*REVIEWERS, study_version=2)),
    ),
    "reviews of another study": (
        "study_quorum_missing",
        spoilt(study_approvals=reviews(*REVIEWERS, study="st-other")),
    ),
    "reviews from the future": (
        "study_quorum_missing",
        spoilt(
            study_approvals=reviews(
                *REVIEWERS,
                issued_at=format_moment(NOW + timedelta(minutes=6)),
                valid_until=format_moment(NOW + timedelta(days=1)),
            )
        ),
    ),
    "reviews that hold too long": (
        "study_quorum_missing",
        spoilt(
            study_approvals=reviews(
                *REVIEWERS, valid_until=format_moment(VALID_UNTIL + timedelta(seconds=1))
            )
        ),
    ),
    "reviewers who disagree": (
        "study_quorum_missing",
        spoilt(
            study_approvals=(
                *reviews("m-ruth", "m-carl"),
                *reviews("m-rosa", decision="reject"),
                *reviews("m-carl", decision="return", issued_at=LATER),
            )
        ),
    ),
    "a review that has ended": (
        "study_approval_expired",
        spoilt(
            study_approvals=(
                *reviews("m-ruth"),
                *reviews("m-carl", valid_until=format_moment(NOW)),
            )
        ),
    ),
    "a reviewer who revokes": (
        "study_revoked",
        spoilt(study_approvals=reviews(*REVIEWERS) + reviews("m-carl", **REVOKED)),
    ),
    "a quorum that revokes while another approves": (
        "study_revoked",
        spoilt(
            study_approvals=(
                *reviews("m-rosa", *REVIEWERS),
                *reviews(*REVIEWERS, **REVOKED),
            )
        ),
    ),
    "a revocation whose own time is over too": (
        "study_revoked",
        spoilt(
            study_approvals=(
                *reviews(*REVIEWERS),
                *reviews("m-ruth", **REVOKED, valid_until=LATER),
            )
        ),
    ),
    "a plan by someone the roster does not list": (
        "author_unknown",
        evidence_for(CONSORTIUM.plan_json(author="m-mallory")),
    ),
    "a plan by a member who is no investigator": (
        "author_unknown",
        evidence_for(CONSORTIUM.plan_json(author="m-rosa")),
    ),
    "no consent of birch": ("consent_missing", spoilt(consents=consents(birch=[]))),
    "consent of birch to another plan": (
        "consent_missing",
        spoilt(consents=consents(birch=[consent("birch", study_digest="0" * 64)])),
    ),
    "consent for birch by alder's steward": (
        "consent_missing",
        spoilt(consents=consents(birch=[consent("birch", signer="m-ada")])),
    ),
    "consent for birch by birch's reviewer": (
        "consent_missing",
        spoilt(consents=consents(birch=[consent("birch", signer="m-ruth")])),
    ),
    "a forged consent of birch": (
        "consent_missing",
        spoilt(consents=consents(birch=[forged(consent("birch"))])),
    ),
    "birch declines": (
        "consent_declined",
        spoilt(consents=consents(birch=[consent("birch", decision="decline")])),
    ),
    "birch withdraws": (
        "consent_withdrawn",
        spoilt(
            consents=consents(
                birch=[
                    consent("birch", decision="withdraw", issued_at=LATER, valid_until=LATER),
                    consent("birch"),
                ]
            )
        ),
    ),
    "birch withdraws within the same second": (
        "consent_withdrawn",
        spoilt(consents=consents(birch=[consent("birch", decision="withdraw"), consent("birch")])),
    ),
    "birch's consent has ended": (
        "consent_expired",
        spoilt(consents=consents(birch=[consent("birch", valid_until=format_moment(NOW))])),
    ),
    "a plan that has expired": (
        "plan_expired",
        CONSORTIUM.evidence(CONSORTIUM.plan(expires_at=format_moment(NOW))),
    ),
    "a statement among others of its kind that is not of it": (
        "evidence_malformed",
        spoilt(consents=GENUINE.study_approvals),
    ),
}


@pytest.mark.parametrize(("code", "evidence"), CASES.values(), ids=CASES)
def test_one_thing_spoilt_is_refused_for_its_own_reason(code, evidence):
    refusal = refused(evidence)
    assert refusal.code == code, refusal.sentence
    if code.startswith("consent_"):
        assert refusal.site == "birch"
        assert "birch" in refusal.sentence


UNDER_AGREEMENT = Consortium(rules={"agreement": AGREEMENT})
SIGNATURES = {site: UNDER_AGREEMENT.agreement(site) for site in SITES}


def without_birch(*instead):
    return (SIGNATURES["alder"], SIGNATURES["cedar"], *instead)


@pytest.mark.parametrize(
    ("code", "agreements"),
    {
        "nobody signed for birch": ("agreement_missing", without_birch()),
        "another contract": (
            "agreement_missing",
            without_birch(UNDER_AGREEMENT.agreement("birch", agreement_digest="0" * 64)),
        ),
        "a reviewer of birch": (
            "agreement_missing",
            without_birch(UNDER_AGREEMENT.agreement("birch", signer="m-ruth")),
        ),
        "birch signed by alder's steward": (
            "agreement_missing",
            without_birch(UNDER_AGREEMENT.agreement("birch", signer="m-ada")),
        ),
        "birch ended it": (
            "agreement_ended",
            (
                *SIGNATURES.values(),
                UNDER_AGREEMENT.agreement("birch", decision="end", issued_at=LATER),
            ),
        ),
        "its time is over": (
            "agreement_expired",
            without_birch(UNDER_AGREEMENT.agreement("birch", valid_until=format_moment(NOW))),
        ),
        "six years are too long": (
            "agreement_missing",
            without_birch(
                UNDER_AGREEMENT.agreement(
                    "birch", valid_until=format_moment(SIGNED_AT + timedelta(days=6 * 366))
                )
            ),
        ),
    }.values(),
)
def test_every_sites_organisation_must_have_signed_the_agreement(code, agreements):
    evidence = UNDER_AGREEMENT.evidence(PLAN, agreements=agreements)
    refusal = refused(evidence, pinned=UNDER_AGREEMENT.pinned)
    assert (refusal.code, refusal.site) == (code, "birch")


def test_with_all_signatures_under_the_agreement_it_may_run():
    evidence = UNDER_AGREEMENT.evidence(PLAN, agreements=tuple(SIGNATURES.values()))
    assert judge(evidence, pinned=UNDER_AGREEMENT.pinned).plan == PLAN


def test_reviewers_of_the_authors_organisation_count_unless_the_roster_keeps_them_out():
    open_to_all = Consortium()
    near = {"study_approvals": reviews("m-rosa", "m-ruth")}  # rosa is of the author's hospital
    assert judge(open_to_all.evidence(PLAN, **near), pinned=open_to_all.pinned).plan == PLAN
    strict = Consortium(rules={"author_organisation_excluded": True})
    refusal = refused(strict.evidence(PLAN, **near), pinned=strict.pinned)
    assert refusal.code == "study_quorum_missing"
    assert judge(strict.evidence(PLAN), pinned=strict.pinned).plan == PLAN


def test_where_offline_signatures_are_asked_for_a_passkeys_does_not_count():
    passkey = Authenticator("ruth")
    ruth = dataclasses.replace(CONSORTIUM.person("m-ruth"), passkeys=(passkey.key,))
    others = tuple(person for person in PEOPLE if person.id != "m-ruth")

    def evidence(**rules):
        consortium = Consortium(people=(*others, ruth), rules=rules)
        payload = consortium.review("m-ruth", PLAN).payload
        statement = unsigned(Kind.STUDY_APPROVAL, payload)
        answer = Signature.of_credential(passkey.assertion(statement.challenge()))
        in_browser = add_signature(statement, answer)
        approvals = (in_browser, consortium.review("m-carl", PLAN))
        return consortium.evidence(PLAN, study_approvals=approvals), consortium.pinned

    genuine, pinned = evidence()
    assert judge(genuine, pinned=pinned).plan == PLAN
    same, pinned = evidence(offline_signatures=["study-approval"])
    refusal = refused(same, pinned=pinned)
    assert refusal.code == "study_quorum_missing"
    assert "sign this offline" in refusal.sentence
    of_another_kind, pinned = evidence(offline_signatures=["consent"])
    assert judge(of_another_kind, pinned=pinned).plan == PLAN


def test_the_authors_own_approval_is_never_counted():
    """The PI sits on the committee: with one other reviewer there is still no quorum."""
    ines = Person("m-ines", "Ines", "alder-hospital", ("pi", "chair"))
    consortium = Consortium(people=(ines, *(p for p in PEOPLE if p.id != "m-ines")))
    evidence = dataclasses.replace(
        consortium.evidence(PLAN),
        study_approvals=tuple(consortium.review(m, PLAN) for m in ("m-ines", "m-ruth")),
    )
    refusal = refused(evidence, pinned=consortium.pinned)
    assert refusal.code == "study_quorum_missing"
    assert "other than the author, and has 1 of 1" in refusal.sentence


def test_the_authors_own_consent_is_never_counted_and_their_withdrawal_is():
    """The PI is also the steward of their site: nobody consents to their own study."""
    ines = Person("m-ines", "Ines", "alder-hospital", ("pi", "steward"))
    consortium = Consortium(people=(ines, *(p for p in PEOPLE if p.id != "m-ines")))

    def decided(decision, *others):
        own = consortium.consent("alder", PLAN, signer="m-ines", decision=decision, issued_at=LATER)
        rest = tuple(consortium.consent(site, PLAN) for site in ("birch", "cedar"))
        return dataclasses.replace(consortium.evidence(PLAN), consents=(own, *rest, *others))

    own_only = refused(decided("consent"), pinned=consortium.pinned)
    assert (own_only.code, own_only.site) == ("consent_missing", "alder")
    by_another = consortium.consent("alder", PLAN)
    stopped = refused(decided("withdraw", by_another), pinned=consortium.pinned)
    assert (stopped.code, stopped.site) == ("consent_withdrawn", "alder")


def test_who_has_left_the_committee_counts_no_more():
    stayed = tuple(
        dataclasses.replace(person, roles=("auditor",)) if person.id == "m-carl" else person
        for person in PEOPLE
    )
    second = CONSORTIUM.sign_by(
        Kind.ROSTER,
        {
            **Consortium(people=stayed).roster_payload(),
            "version": 2,
            "previous": CONSORTIUM.pinned,
        },
        REVIEWERS,
    )
    rosters = (CONSORTIUM.roster_envelope, second)
    # The class is approved by others, so that the study's approval is what is missing.
    others = tuple(CONSORTIUM.class_decision(member) for member in ("m-rosa", "m-ruth"))
    assert refused(spoilt(rosters=rosters, class_approvals=others)).code == "study_quorum_missing"
    assert judge(
        spoilt(rosters=rosters, class_approvals=others, study_approvals=reviews("m-rosa", "m-ruth"))
    )


def test_a_site_that_pinned_another_roster_refuses():
    refusal = refused(GENUINE, pinned="0" * 64)
    assert refusal.code == "roster_unverified"
    assert "Compare its fingerprint" in refusal.sentence


def test_a_renewed_consent_counts_again():
    expired = consent("birch", valid_until=LATER)
    renewed = consent("birch", issued_at=format_moment(NOW - timedelta(hours=1)))
    withdrawn = consent("birch", decision="withdraw", issued_at=LATER)
    assert judge(spoilt(consents=consents(birch=[renewed, expired, withdrawn])))


def test_one_stewards_withdrawal_stops_what_another_consented_to():
    bella = Person("m-bella", "Bella", "birch-hospital", ("steward",))
    consortium = Consortium(people=(*PEOPLE, bella))
    withdrawn = consortium.consent(
        "birch", PLAN, signer="m-bella", decision="withdraw", issued_at=LATER
    )
    genuine = consortium.evidence(PLAN)
    evidence = dataclasses.replace(genuine, consents=(*genuine.consents, withdrawn))
    assert refused(evidence, pinned=consortium.pinned).code == "consent_withdrawn"


def test_decisions_hold_until_the_very_second():
    last = VALID_UNTIL - timedelta(seconds=1)
    assert judge(GENUINE, now=last)
    assert refused(GENUINE, now=VALID_UNTIL).code == "class_approval_expired"


def test_needed_consents_can_be_fewer():
    assert judge(spoilt(consents=()), needs_consent_of=())
    assert judge(spoilt(consents=(consent("cedar"),)), needs_consent_of=("cedar",))


def test_a_junk_statement_does_not_spoil_what_is_genuine():
    junk = forged(CONSORTIUM.review("m-rosa", PLAN, decision="reject"))
    assert judge(spoilt(study_approvals=(*GENUINE.study_approvals, junk)))


def test_what_was_not_counted_is_said():
    refusal = refused(spoilt(study_approvals=(*reviews("m-ruth"), *map(forged, reviews("m-carl")))))
    assert "not counted: m-carl (The signature by the key" in refusal.sentence


@pytest.mark.parametrize(
    "change",
    [{"plan": "###="}, {"extra": 1}, {"consents": [{}]}, {"rosters": None}],
    ids=["plan", "extra field", "no envelope", "null"],
)
def test_evidence_that_cannot_be_read_is_refused(change):
    with pytest.raises(Refusal) as caught:
        Evidence.parse({**GENUINE.to_json(), **change})
    assert caught.value.code == "evidence_malformed"


EXTRA = (
    Person("m-ines", "Ines", "alder-hospital", ("pi", "reviewer")),
    Person("m-bea", "Bea", "birch-hospital", ("reviewer",)),
)
LARGE = Consortium(people=(*EXTRA, *(p for p in PEOPLE if p.id != "m-ines")))
LARGE_EVIDENCE = LARGE.evidence(PLAN)
ABLE = {"m-rosa": "alder", "m-ruth": "birch", "m-bea": "birch", "m-carl": "cedar"}
VOTERS = ("m-ines", "m-rosa", "m-ruth", "m-bea", "m-carl", "m-ada", "m-aude")


def test_a_quorum_that_revokes_ends_a_class_that_another_quorum_still_approves():
    approvers, revokers = ("m-rosa", "m-bea"), ("m-ruth", "m-carl")
    decisions = [LARGE.class_decision(member) for member in approvers]
    revocations = [LARGE.class_decision(member, decision="revoke") for member in revokers]
    approved = dataclasses.replace(LARGE_EVIDENCE, class_approvals=tuple(decisions))
    assert judge(approved, pinned=LARGE.pinned)
    one = dataclasses.replace(approved, class_approvals=(*decisions, revocations[0]))
    assert judge(one, pinned=LARGE.pinned)
    both = dataclasses.replace(approved, class_approvals=(*decisions, *revocations))
    assert refused(both, pinned=LARGE.pinned).code == "class_revoked"


def test_a_rejection_does_not_lapse():
    """Two for and two against is no majority, however long ago the two against were signed."""
    against = [
        LARGE.review(member, PLAN, decision="reject", valid_until=LATER)
        for member in ("m-rosa", "m-bea")
    ]
    evidence = dataclasses.replace(
        LARGE_EVIDENCE, study_approvals=(*LARGE_EVIDENCE.study_approvals, *against)
    )
    refusal = refused(evidence, pinned=LARGE.pinned)
    assert refusal.code == "study_quorum_missing"
    assert "the reviewers disagree" in refusal.sentence


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(VOTERS), max_size=6))
def test_whoever_approves_it_runs_only_with_two_able_members_of_two_organisations(approvers):
    """Duplicates, the author, stewards and auditors may sign as much as they like."""
    evidence = dataclasses.replace(
        LARGE_EVIDENCE,
        study_approvals=tuple(LARGE.review(member, PLAN) for member in approvers),
    )
    able = {member for member in approvers if member in ABLE}
    if len(able) >= 2 and len({ABLE[member] for member in able}) >= 2:
        assert judge(evidence, pinned=LARGE.pinned)
    else:
        assert refused(evidence, pinned=LARGE.pinned).code == "study_quorum_missing"
