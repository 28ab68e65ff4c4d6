"""The opening permit: for this session, in the log, under a checkpoint that enough sites saw."""

import dataclasses
import hashlib

import pytest

from audit import merkle
from governance.errors import Refusal
from governance.permit import verify_permit
from governance.statements.result_statements import OpeningPermit, output_commitment
from governance.statements.run_statements import Recipient
from tests.factories.evidence import NOW, Consortium
from tests.factories.sealed_session import LoggedPermit, SealedSession

CONSORTIUM = Consortium()
SESSION = SealedSession()
PERMIT = SESSION.permit()
LOGGED = LoggedPermit.of(PERMIT)
OTHER = agreement = "ab" * 32


def verify(permit=PERMIT, *, site="alder", **changes):
    known = {
        "roster": CONSORTIUM.roster,
        "manifest": SESSION.manifest(),
        "site": site,
        "own_certificate": SESSION.certificate(site).digest,
    }
    shown = LoggedPermit.of(permit).shown()
    return verify_permit(permit, **{**known, **shown, **changes})


def altered(**changes):
    return dataclasses.replace(OpeningPermit.parse(PERMIT), **changes).canonical()


@pytest.mark.parametrize("site", SESSION.plan.sites)
def test_a_logged_and_cosigned_permit_opens_this_session(site):
    permit = verify(site=site)
    assert permit.manifest_digest == SESSION.manifest().digest
    assert permit.charge == {"micro_epsilon": 2_000_000}


CERTIFICATES = dict(OpeningPermit.parse(PERMIT).certificates)

MISMATCHES = {
    "another study": altered(study="st-other"),
    "another plan": altered(study_digest=OTHER),
    "another run": altered(run="run-other"),
    "another attempt": altered(attempt=2),
    "another manifest": altered(manifest_digest=OTHER),
    "another recipient": altered(recipient_public_key=OTHER),
    "another certificate of mine": altered(certificates={**CERTIFICATES, "alder": OTHER}),
    "no certificate of mine": altered(
        certificates={site: CERTIFICATES[site] for site in ("birch", "cedar")}
    ),
    "a certificate too many": altered(certificates={**CERTIFICATES, "dogwood": OTHER}),
    "a field too many": PERMIT.replace(b'"attempt":1,', b'"attempt":1,"b":1,'),
    "another spelling": PERMIT + b"\n",
}


@pytest.mark.parametrize("permit", MISMATCHES.values(), ids=MISMATCHES)
def test_a_logged_permit_for_anything_else_opens_nothing(permit):
    assert permit != PERMIT
    with pytest.raises(Refusal) as refused:
        verify(permit)
    assert refused.value.code == "permit_mismatch"


def test_a_manifest_for_a_recipient_that_is_not_the_rosters_gate_opens_nothing():
    manifest = SESSION.manifest(recipient=Recipient("gate", OTHER))
    permit = altered(manifest_digest=manifest.digest, recipient_public_key=OTHER)
    with pytest.raises(Refusal, match="release gate of the roster"):
        verify(permit, manifest=manifest)


def moved():
    """Return a log in which the entry that says it is number 2 stands at 1."""
    first, second, third, fourth = LOGGED.entries
    return dataclasses.replace(LOGGED, entries=(first, third, second, fourth))


PROOF_OF_MOVED = merkle.inclusion_proof([entry.leaf_hash for entry in moved().entries], 1)

UNLOGGED = {
    "another permit's entry": LoggedPermit.of(altered(attempt=2)).shown(),
    "another event": LoggedPermit.of(PERMIT, event="release.opened").shown(),
    "an entry without a digest": LoggedPermit.of(PERMIT, data={"permit": "x"}).shown(),
    "another index": LOGGED.shown(index=1),
    "a shortened proof": LOGGED.shown(inclusion_proof=LOGGED.shown()["inclusion_proof"][:-1]),
    "an altered proof": LOGGED.shown(
        inclusion_proof=[bytes(32), *LOGGED.shown()["inclusion_proof"][1:]]
    ),
    "a checkpoint from before the entry": LOGGED.shown(checkpoint_note=LOGGED.note(size=2)),
    "a leaf that was not logged": LOGGED.shown(
        entry_leaf=LoggedPermit.of(PERMIT, actor="portal").entries[2].leaf
    ),
    "a leaf in another place than it says": moved().shown(
        entry_leaf=LOGGED.entries[2].leaf, index=1, inclusion_proof=PROOF_OF_MOVED
    ),
    "a leaf that is none": LOGGED.shown(entry_leaf=b"{}"),
}


@pytest.mark.parametrize("shown", UNLOGGED.values(), ids=UNLOGGED)
def test_a_permit_that_is_not_on_record_opens_nothing(shown):
    with pytest.raises(Refusal) as refused:
        verify(**shown)
    assert refused.value.code == "permit_not_logged"


@pytest.mark.parametrize("witnesses", [(), ("alder",), ("alder", "birch")])
def test_two_of_three_cosignatures_are_not_enough(witnesses):
    with pytest.raises(Refusal) as refused:
        verify(checkpoint_note=LOGGED.note(witnesses=witnesses))
    assert refused.value.code == "checkpoint_not_cosigned"
    assert f"carries {len(witnesses)} cosignatures" in refused.value.sentence


def test_another_log_does_not_count():
    with pytest.raises(Refusal) as refused:
        verify(checkpoint_note=LOGGED.note(origin="other.test/log"))
    assert refused.value.code == "checkpoint_unsigned"


def test_a_cosignature_by_another_key_does_not_count():
    impostor = Consortium()
    object.__setattr__(impostor, "site_key", lambda site: CONSORTIUM.site_key(f"not {site}"))
    note = dataclasses.replace(LOGGED, consortium=impostor).note()
    with pytest.raises(Refusal) as refused:
        verify(checkpoint_note=note)
    assert refused.value.code == "checkpoint_not_cosigned"


def test_commitments_bind_manifest_party_salt_and_share():
    """The formula of docs/protocols/statements.md, written anew."""
    digest = hashlib.sha256(b"manifest").hexdigest()
    salt, share = bytes(range(32)), b"a share of the output"
    given = {"manifest_digest": digest, "party": 2, "salt": salt, "share": share}
    by_hand = hashlib.sha256(
        b"quorate/output-share/v1" + bytes.fromhex(digest) + b"\x02" + salt + share
    )
    assert output_commitment(**given) == by_hand.hexdigest()
    with pytest.raises(ValueError, match="32 bytes"):
        output_commitment(**{**given, "salt": salt[:16]})


def test_a_commitment_copied_from_another_party_cannot_be_opened():
    """P9: whoever certifies another's commitment as its own has nothing that opens it."""
    digest = hashlib.sha256(b"manifest").hexdigest()
    salt, share = bytes(range(32)), b"a share of the output"
    first = output_commitment(manifest_digest=digest, party=0, salt=salt, share=share)
    copied = output_commitment(manifest_digest=digest, party=1, salt=salt, share=share)
    replayed = output_commitment(
        manifest_digest=hashlib.sha256(b"another").hexdigest(), party=0, salt=salt, share=share
    )
    assert len({first, copied, replayed}) == 3


def test_the_permit_says_when_it_was_given():
    assert OpeningPermit.parse(PERMIT).issued_at == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
