"""An attacker who owns the database: whatever is changed is found, and the row is named."""

import hashlib
import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from audit import checkpoint, log, merkle, models
from audit.entry import Entry, make
from tests.audit.conftest import ORIGIN, cosignature
from tests.audit.unprotected import unprotected

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(append, log_key, witness_keys, witnesses):
    """Twelve entries; checkpoints of 5 and 10, the last cosigned by two of three witnesses."""
    append(5)
    log.publish_checkpoint(key=log_key, origin=ORIGIN)
    append(5)
    published = log.publish_checkpoint(key=log_key, origin=ORIGIN)
    for name in ("site-a", "site-b"):
        line = cosignature(published, witness_keys[name], name)
        log.add_cosignature(10, line, witnesses=witnesses)
    append(2)


@pytest.fixture
def verify(log_verifier, witnesses):
    """Run the command; return its exit status and its report."""

    def verify(**options) -> tuple[int, dict]:
        out = StringIO()
        keys = [key.encode() for key in witnesses]
        trust = {"log_key": log_verifier.encode(), "witness": keys, "quorum": 2, "kept": []}
        try:
            call_command("verify_audit_log", json=True, stdout=out, **{**trust, **options})
            status = 0
        except CommandError as error:
            status = error.returncode
        return status, json.loads(out.getvalue()) if out.getvalue() else {}

    return verify


def execute(*statements: str, parameters=None) -> None:
    with unprotected(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, parameters)


def rewrite(entries: list[Entry]) -> None:
    """Replace the log by `entries`, every hash right: what a forger with time would do."""
    with unprotected(), transaction.atomic():
        connection.cursor().execute("DELETE FROM audit_entry")
        for entry in entries:
            models.Entry(
                index=entry.index,
                leaf=entry.leaf,
                leaf_hash=entry.leaf_hash.hex(),
                chain_hash=entry.chain_hash.hex(),
                event=entry.event,
                actor=entry.actor,
                subject=entry.subject,
                study=entry.study,
                created_at=entry.created_at,
            ).save()


def chained(contents: list[Entry]) -> list[Entry]:
    """Return entries of the same content, numbered and chained anew."""
    made: list[Entry] = []
    for index, entry in enumerate(contents):
        previous = made[-1].chain_hash if made else bytes(32)
        names = ("event", "actor", "subject", "study", "data")
        fields = {name: getattr(entry, name) for name in names}
        made.append(make(index=index, previous=previous, at=entry.created_at, **fields))
    return made


def where(report: dict) -> list[str]:
    return [found["where"] for found in report["differences"]]


def test_an_untouched_log_is_intact(filled, verify):
    status, report = verify()
    root = merkle.root_hash([entry.leaf_hash for entry in log.entries()[:]]).hex()
    assert (status, report["intact"], report["differences"]) == (0, True, [])
    assert (report["size"], report["root"], report["covered"]) == (12, root, 10)
    assert (report["checkpoints"], report["cosignatures"]) == (2, 2)


def test_an_empty_log_is_intact(verify):
    assert verify(quorum=0)[0] == 0


@pytest.mark.parametrize("index", [0, 3, 9, 11])
def test_one_changed_byte_is_found_in_its_row(filled, verify, index):
    leaf = log.entry(index).leaf.replace(b'"study:st-1"', b'"study:st-2"')
    execute(f'UPDATE audit_entry SET leaf = %s WHERE "index" = {index}', parameters=[leaf])
    status, report = verify()
    assert status == 1
    assert where(report)[0] == f"entry {index}"
    if index < 10:
        assert f"checkpoint {5 if index < 5 else 10}" in where(report)


def test_a_changed_row_whose_own_hashes_were_made_to_fit_is_found_by_the_next_row(filled, verify):
    old = log.entry(10)
    fields = {name: getattr(old, name) for name in ("index", "previous", "event", "study", "data")}
    new = make(**fields, actor="m-9", subject=old.subject, at=old.created_at)
    execute(
        "UPDATE audit_entry SET leaf = %s, leaf_hash = %s, chain_hash = %s, actor = 'm-9'"
        ' WHERE "index" = 10',
        parameters=[new.leaf, new.leaf_hash.hex(), new.chain_hash.hex()],
    )
    status, report = verify()
    assert (status, where(report)) == (1, ["entry 11"])
    assert "does not follow the entry before it" in report["differences"][0]["problem"]


def test_bytes_that_are_no_entry_are_found(filled, verify):
    execute('UPDATE audit_entry SET leaf = %s WHERE "index" = 4', parameters=[b"\xff{}"])
    status, report = verify()
    assert (status, where(report)[0]) == (1, "entry 4")


@pytest.mark.parametrize(
    "column", ["event", "actor", "subject", "study", "leaf_hash", "chain_hash"]
)
def test_a_changed_column_is_found_in_its_row(filled, verify, column):
    execute(f"UPDATE audit_entry SET {column} = 'm-9' WHERE \"index\" = 6")
    status, report = verify()
    assert (status, where(report)[0]) == (1, "entry 6")


def test_a_changed_time_is_found_in_its_row(filled, verify):
    execute("UPDATE audit_entry SET created_at = '2020-01-01 00:00:00+00:00' WHERE \"index\" = 6")
    assert where(verify()[1]) == ["entry 6"]


@pytest.mark.parametrize("index", [0, 4, 10])
def test_a_deleted_row_is_named(filled, verify, index):
    execute(f'DELETE FROM audit_entry WHERE "index" = {index}')
    status, report = verify()
    assert status == 1
    assert report["differences"][0] == {
        "where": f"entry {index}",
        "problem": f"expected entry {index} here, got entry {index + 1}",
    }


def test_a_log_cut_short_is_found_by_its_checkpoint(filled, verify):
    execute('DELETE FROM audit_entry WHERE "index" >= 7')
    assert verify()[1]["differences"] == [
        {
            "where": "checkpoint 10",
            "problem": "it signed 10 entries, and 7 are there: the rest is missing",
        }
    ]


def test_two_rows_that_changed_places_are_named(filled, verify):
    first, second = log.entry(6).leaf, log.entry(7).leaf
    for index, leaf in ((6, second), (7, first)):
        execute(f'UPDATE audit_entry SET leaf = %s WHERE "index" = {index}', parameters=[leaf])
    status, report = verify()
    assert status == 1
    assert {"entry 6", "entry 7"} <= set(where(report))


def test_an_inserted_row_is_found(filled, verify):
    entries = log.entries()[:]
    rewrite([*entries[:3], *chained([*entries[:3], entries[1], *entries[3:]])[3:]])
    status, report = verify()
    assert status == 1
    assert report["differences"] == [
        {
            "where": "checkpoint 5",
            "problem": "the first 5 entries have another root than it signed: "
            "something from entry 0 to entry 4 was changed",
        }
    ]


def test_a_history_written_anew_with_all_hashes_right_is_found_between_its_checkpoints(
    filled, verify
):
    entries = log.entries()[:]
    without_7 = chained([*entries[:7], *entries[8:], entries[11]])
    rewrite(without_7)
    status, report = verify()
    assert (status, where(report)) == (1, ["checkpoint 10"])
    assert "from entry 5 to entry 9" in report["differences"][0]["problem"]


def test_what_no_checkpoint_covers_can_be_rewritten_and_the_report_says_how_far_they_reach(
    filled, verify
):
    entries = log.entries()[:]
    rewrite(chained(entries[:11]))
    status, report = verify()
    assert (status, report["covered"], report["size"]) == (0, 10, 11)


def test_a_log_cut_back_with_its_checkpoints_is_found_by_one_that_was_kept(
    filled, verify, tmp_path
):
    kept = tmp_path / "checkpoint"
    kept.write_text(log.checkpoint_at(10).note, encoding="utf-8")
    assert verify(kept=[str(kept)])[0] == 0
    execute(
        "DELETE FROM audit_cosignature",
        "DELETE FROM audit_checkpoint WHERE size = 10",
        'DELETE FROM audit_entry WHERE "index" >= 5',
    )
    assert verify(quorum=0)[0] == 0
    status, report = verify(quorum=0, kept=[str(kept)])
    assert (status, where(report)) == (1, ["kept checkpoint 10"])


class TestCheckpoints:
    def test_with_another_root_or_size_than_signed_are_named(self, filled, verify):
        execute(f"UPDATE audit_checkpoint SET root = '{'00' * 32}' WHERE size = 5")
        assert where(verify()[1]) == ["checkpoint 5"]

    def test_signed_by_another_key_are_named(self, filled, verify, witness_keys):
        published = log.checkpoint_at(5)
        head = checkpoint.Checkpoint(ORIGIN, 5, published.root)
        forged = checkpoint.sign(head, witness_keys["site-a"]).encode()
        execute("UPDATE audit_checkpoint SET note = %s WHERE size = 5", parameters=[forged])
        assert where(verify()[1]) == ["checkpoint 5"]

    def test_cosigned_earlier_only_do_not_make_up_for_the_latest(
        self, filled, verify, append, log_key
    ):
        log.publish_checkpoint(key=log_key, origin=ORIGIN)
        assert where(verify()[1]) == ["latest checkpoint"]

    def test_without_enough_cosignatures_are_named(self, filled, verify):
        assert where(verify(quorum=3)[1]) == ["latest checkpoint"]

    def test_whose_cosignature_was_altered_are_named(self, filled, verify):
        execute("UPDATE audit_cosignature SET line = SUBSTR(line, 1, 40)")
        status, report = verify()
        assert status == 1
        assert where(report) == ["cosignature under checkpoint 10"] * 2 + ["latest checkpoint"]

    def test_cosigned_by_strangers_are_intact_and_the_stranger_is_counted(
        self, filled, verify, witnesses
    ):
        status, report = verify(witness=[witnesses[0].encode()], quorum=1)
        assert (status, report["cosignatures"], report["unknown_cosignatures"]) == (0, 1, 1)


def test_a_missing_trigger_is_reported(filled, verify):
    table = " ON audit_entry" if connection.vendor == "postgresql" else ""
    connection.check_constraints()
    connection.cursor().execute(f"DROP TRIGGER audit_entry_refuse_update{table}")
    status, report = verify()
    assert (status, where(report)) == (1, ["database"])


def test_the_report_for_people_says_it_in_words(filled, log_verifier):
    out = StringIO()
    call_command("verify_audit_log", log_key=log_verifier.encode(), stdout=out)
    assert out.getvalue().endswith("the log is intact\n")
    execute('DELETE FROM audit_entry WHERE "index" = 4')
    out = StringIO()
    with pytest.raises(CommandError, match="not intact"):
        call_command("verify_audit_log", log_key=log_verifier.encode(), stdout=out)
    assert "DIFFERENCE entry 4: expected entry 4 here" in out.getvalue()


def test_trust_that_makes_no_sense_is_refused(verify, witnesses, log_verifier):
    witness = witnesses[0].encode()
    for wrong in (
        {"log_key": "nonsense"},
        {"log_key": witness},
        {"witness": [log_verifier.encode()]},
        {"witness": [witness, witness]},
        {"witness": [witness, witness], "quorum": 0},
        {"witness": [witness], "quorum": 2},
        {"kept": ["/does/not/exist"]},
    ):
        assert verify(**wrong)[0] == 2


def test_the_chain_can_be_followed_with_nothing_but_sha_256(filled):
    chain = "00" * 32
    for row in models.Entry.objects.order_by("index"):
        assert f'"previous":"{chain}"' in bytes(row.leaf).decode()
        chain = hashlib.sha256(bytes.fromhex(chain) + bytes(row.leaf)).hexdigest()
        assert row.chain_hash == chain
