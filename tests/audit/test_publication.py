"""What the log signs, what it refuses to sign, and what witnesses add."""

import pytest
from django.db import connection

from audit import checkpoint, log, merkle
from audit.receipt import Receipt
from audit.signed_note import NoteError, SignedNote
from tests.audit.conftest import ORIGIN, cosignature
from tests.audit.unprotected import unprotected

pytestmark = pytest.mark.django_db


def publish(key):
    return log.publish_checkpoint(key=key, origin=ORIGIN)


def test_a_checkpoint_signs_the_root_over_all_entries(append, log_key, log_verifier):
    entries = append(5)
    published = publish(log_key)
    assert published.root == merkle.root_hash([entry.leaf_hash for entry in entries])
    head = checkpoint.verify(SignedNote.parse(published.note), log_verifier)
    assert (head.origin, head.size, head.root) == (ORIGIN, 5, published.root)
    assert log.latest_checkpoint() == log.checkpoint_at(5) == published


def test_an_empty_log_can_be_signed_and_nothing_new_is_signed_once(append, log_key):
    assert log.latest_checkpoint() is None
    assert publish(log_key).size == 0
    append(2)
    assert publish(log_key) == publish(log_key) == log.latest_checkpoint()


def test_every_two_checkpoints_are_consistent_and_every_entry_is_included(append, log_key):
    heads = []
    for count in (1, 2, 4, 1, 5):
        append(count)
        heads.append(publish(log_key))
    for old in heads:
        for new in heads:
            if old.size <= new.size:
                merkle.verify_consistency(
                    old_size=old.size,
                    old_root=old.root,
                    new_size=new.size,
                    new_root=new.root,
                    proof=log.consistency(old.size, new.size),
                )
        for index in range(old.size):
            merkle.verify_inclusion(
                leaf=log.entry(index).leaf_hash,
                index=index,
                size=old.size,
                root=old.root,
                proof=log.inclusion(index, old.size),
            )


def test_proofs_beyond_the_log_are_a_clear_error(append):
    append(3)
    with pytest.raises(LookupError, match="size up to 3, got 4"):
        log.consistency(1, 4)
    with pytest.raises(LookupError):
        log.inclusion(0, 4)
    with pytest.raises(ValueError, match="below the size 3"):
        log.inclusion(3, 3)


@pytest.mark.parametrize(
    "statement",
    [
        'UPDATE audit_entry SET leaf = (SELECT leaf FROM audit_entry WHERE "index" = 4)'
        ' WHERE "index" = 2',
        'DELETE FROM audit_entry WHERE "index" = 6',
        'DELETE FROM audit_entry WHERE "index" >= 3',
        'DELETE FROM audit_entry WHERE "index" = 0',
        'UPDATE audit_entry SET "index" = 99 WHERE "index" = 3',
    ],
)
def test_what_does_not_continue_the_signed_log_is_never_signed(append, log_key, statement):
    append(5)
    signed = publish(log_key)
    append(4)
    with unprotected():
        connection.cursor().execute(statement)
    with pytest.raises(log.LogInconsistentError):
        publish(log_key)
    assert log.latest_checkpoint() == signed


def test_a_log_written_anew_from_the_start_is_not_signed(append, log_key):
    append(5)
    publish(log_key)
    with unprotected():
        connection.cursor().execute("DELETE FROM audit_entry")
    append(5, study="st-2")
    with pytest.raises(log.LogInconsistentError, match="do not begin with the 5"):
        publish(log_key)
    append(5, study="st-2")
    with pytest.raises(log.LogInconsistentError, match="do not begin with the 5"):
        publish(log_key)


def test_the_root_is_computed_from_the_entries_and_not_from_stored_hashes(append, log_key):
    entries = append(3)
    with unprotected():
        connection.cursor().execute("UPDATE audit_entry SET leaf_hash = '00'")
    assert publish(log_key).root == merkle.root_hash([entry.leaf_hash for entry in entries])


def test_one_log_has_one_origin_and_one_key(append, log_key, witness_keys):
    append(1)
    publish(log_key)
    append(1)
    with pytest.raises(NoteError):
        log.publish_checkpoint(key=log_key, origin="portal.example/other")
    with pytest.raises(NoteError):
        publish(witness_keys["site-a"])


class TestCosignatures:
    @pytest.fixture
    def published(self, append, log_key):
        append(4)
        return publish(log_key)

    def test_count_once_for_each_witness(self, published, witness_keys, witnesses):
        assert not log.cosigned(4, 1, witnesses)
        for at in (1_790_000_000, 1_790_000_060):
            line = cosignature(published, witness_keys["site-a"], "site-a", at=at)
            assert log.add_cosignature(4, line, witnesses=witnesses) == at
            assert log.add_cosignature(4, line, witnesses=witnesses) == at
        assert log.cosigned(4, 1, witnesses)
        assert not log.cosigned(4, 2, witnesses)
        line = cosignature(published, witness_keys["site-b"], "site-b")
        log.add_cosignature(4, line, witnesses=witnesses)
        assert log.cosigned(4, 2, witnesses)
        assert not log.cosigned(4, 1, witnesses[2:])

    def test_are_published_under_the_note_the_newest_of_each(
        self, published, witness_keys, witnesses, log_verifier
    ):
        for name in ("site-b", "site-a"):
            for at in (1_790_000_060, 1_790_000_000):
                line = cosignature(published, witness_keys[name], name, at=at)
                log.add_cosignature(4, line, witnesses=witnesses)
        note = SignedNote.parse(log.checkpoint_at(4, witnesses=witnesses).note)
        assert [line.name for line in note.signatures] == [ORIGIN, "site-a", "site-b"]
        head = checkpoint.verify(note, log_verifier)
        newest = checkpoint.verify_cosignature(head, note.signatures[1], witnesses[0])
        assert newest == 1_790_000_060

    def test_by_others_or_over_something_else_are_refused(
        self, published, append, log_key, witness_keys, witnesses
    ):
        line = cosignature(published, witness_keys["site-a"], "site-a")
        with pytest.raises(NoteError, match="known witness"):
            log.add_cosignature(4, line, witnesses=witnesses[1:])
        stranger = cosignature(published, witness_keys["site-a"], "site-b")
        with pytest.raises(NoteError, match="known witness"):
            log.add_cosignature(4, stranger, witnesses=witnesses)
        append(1)
        publish(log_key)
        with pytest.raises(NoteError, match="does not verify"):
            log.add_cosignature(5, line, witnesses=witnesses)
        with pytest.raises(LookupError):
            log.add_cosignature(3, line, witnesses=witnesses)
        with pytest.raises(NoteError):
            log.add_cosignature(4, "no line", witnesses=witnesses)

    def test_written_into_the_database_by_force_do_not_count(
        self, published, witness_keys, witnesses
    ):
        line = cosignature(published, witness_keys["site-a"], "site-a")
        log.add_cosignature(4, line, witnesses=witnesses)
        forged = cosignature(published, witness_keys["site-a"], "site-a", at=1_800_000_000)
        altered = forged[:-8] + "AAAAAA=="
        with unprotected():
            connection.cursor().execute("UPDATE audit_cosignature SET line = %s", [altered])
        with pytest.raises(NoteError):
            log.cosigned(4, 1, witnesses)


class TestReceipts:
    def test_show_an_entry_to_whoever_knows_the_keys(
        self, append, log_key, log_verifier, witness_keys, witnesses
    ):
        append(6)
        published = publish(log_key)
        line = cosignature(published, witness_keys["site-b"], "site-b")
        log.add_cosignature(6, line, witnesses=witnesses)
        receipt = Receipt.parse(log.receipt(2, witnesses=witnesses))
        leaf = log.entry(2).leaf
        head = receipt.verify(leaf, log=log_verifier, witnesses=witnesses, quorum=1)
        assert head.size == 6

    def test_stand_under_an_older_checkpoint_if_asked(self, append, log_key, log_verifier):
        append(3)
        publish(log_key)
        append(3)
        publish(log_key)
        receipt = Receipt.parse(log.receipt(1, size=3))
        leaf = log.entry(1).leaf
        assert receipt.verify(leaf, log=log_verifier, witnesses=(), quorum=0).size == 3

    def test_are_not_made_for_what_no_checkpoint_covers(self, append, log_key):
        append(2)
        with pytest.raises(LookupError, match="below 0"):
            log.receipt(0)
        publish(log_key)
        append(1)
        with pytest.raises(LookupError, match=r"below 2\), got 2"):
            log.receipt(2)
