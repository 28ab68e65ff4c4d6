"""No row of the log is changed, deleted or put in out of order: not by our code, not by SQL."""

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from audit import append_only, log, models
from tests.audit.conftest import ORIGIN, cosignature
from tests.audit.unprotected import unprotected

pytestmark = pytest.mark.django_db

POSTGRESQL_ONLY = [f"TRUNCATE {table} CASCADE" for table in append_only.TABLES]
SQLITE_ONLY = [
    f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}" for table in append_only.TABLES
]
STATEMENTS = [
    "UPDATE audit_entry SET actor = 'm-9' WHERE \"index\" = 1",
    "UPDATE audit_entry SET leaf = leaf",
    "UPDATE audit_checkpoint SET root = 'x'",
    "UPDATE audit_cosignature SET witness = 'site-b'",
    "DELETE FROM audit_entry",
    'DELETE FROM audit_entry WHERE "index" = 2',
    "DELETE FROM audit_cosignature",
    "DELETE FROM audit_checkpoint",
    # An entry after a gap, a second entry 1, a smaller checkpoint.
    "INSERT INTO audit_entry SELECT 7, leaf, leaf_hash, 'x', event, actor, subject, study,"
    ' created_at FROM audit_entry WHERE "index" = 2',
    "INSERT INTO audit_entry SELECT \"index\", leaf, leaf_hash, 'x', event, actor, subject, study,"
    ' created_at FROM audit_entry WHERE "index" = 1',
    "INSERT INTO audit_checkpoint SELECT 2, root, note FROM audit_checkpoint",
]


@pytest.fixture
def filled(append, log_key, witness_keys, witnesses):
    """A log with three entries, one checkpoint and one cosignature."""
    append(3)
    published = log.publish_checkpoint(key=log_key, origin=ORIGIN)
    line = cosignature(published, witness_keys["site-a"], "site-a")
    log.add_cosignature(3, line, witnesses=witnesses)
    # As at a commit; PostgreSQL truncates no table whose foreign keys it has yet to check.
    connection.check_constraints()


def everything() -> list[list[tuple]]:
    with connection.cursor() as cursor:
        rows = []
        for table in append_only.TABLES:
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1")
            rows.append([tuple(map(str, row)) for row in cursor.fetchall()])
        return rows


def statements() -> list[str]:
    return STATEMENTS + (POSTGRESQL_ONLY if connection.vendor == "postgresql" else SQLITE_ONLY)


def test_the_database_refuses_every_statement_that_would_change_the_log(filled):
    before = everything()
    for statement in statements():
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            connection.cursor().execute(statement)
    assert everything() == before


def test_the_same_statements_would_otherwise_work(filled):
    # Were they refused for another reason, the test above would show nothing.
    for statement in statements():
        with unprotected(), transaction.atomic():
            try:
                with transaction.atomic():
                    connection.cursor().execute(statement)
                    connection.check_constraints()
            except IntegrityError:
                assert statement.startswith(("INSERT INTO", "DELETE FROM audit_checkpoint"))
            transaction.set_rollback(True)


def test_rows_refuse_to_be_saved_again_or_deleted(filled):
    for model in (models.Entry, models.Checkpoint, models.Cosignature):
        row = model.objects.first()
        for change in (row.save, row.delete):
            with pytest.raises(models.AppendOnlyError):
                change()


def test_a_row_made_by_hand_does_not_overwrite_one_that_is_there(filled):
    copy = models.Entry.objects.get(index=1)
    fields = {field.attname: getattr(copy, field.attname) for field in copy._meta.fields}
    with pytest.raises(DatabaseError), transaction.atomic():
        models.Entry(**{**fields, "actor": "m-9"}).save()
    assert models.Entry.objects.get(index=1).actor == copy.actor


def test_our_code_overwrites_nothing_even_where_the_triggers_are_gone(filled):
    copy = models.Entry.objects.get(index=1)
    fields = {field.attname: getattr(copy, field.attname) for field in copy._meta.fields}
    with unprotected(), pytest.raises(IntegrityError), transaction.atomic():
        models.Entry(**{**fields, "actor": "m-9"}).save()
    assert models.Entry.objects.get(index=1).actor == copy.actor


def test_bulk_writes_are_refused(filled):
    entries = models.Entry.objects
    for attempt in (
        lambda: entries.update(actor="m-9"),
        lambda: entries.all().delete(),
        lambda: entries.filter(index=1).update(actor="m-9"),
        lambda: entries.bulk_create([]),
        lambda: entries.bulk_update([], ["actor"]),
        lambda: entries.update_or_create(index=1, defaults={"actor": "m-9"}),
    ):
        with pytest.raises(models.AppendOnlyError):
            attempt()


def test_every_trigger_is_there_after_all_migrations():
    # A later migration that rebuilds a table on SQLite would lose them without a word.
    assert append_only.missing(connection) == []


def test_a_missing_trigger_is_named():
    connection.cursor().execute(
        "DROP TRIGGER audit_entry_refuse_delete"
        + (" ON audit_entry" if connection.vendor == "postgresql" else "")
    )
    assert append_only.missing(connection) == ["audit_entry_refuse_delete"]


def test_a_trigger_that_is_switched_off_counts_as_missing():
    if connection.vendor == "sqlite":
        return  # There a trigger cannot be switched off, only dropped.
    connection.cursor().execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
    assert len(append_only.missing(connection)) == 4


def test_installing_again_and_removing_leave_no_trace(filled):
    append_only.install(connection)
    assert append_only.missing(connection) == []
    connection.check_constraints()
    append_only.remove(connection)
    assert len(append_only.missing(connection)) == (12 if connection.vendor == "postgresql" else 9)


def test_another_database_is_refused():
    class Elsewhere:
        vendor = "mysql"

    with pytest.raises(NotImplementedError, match="SQLite or PostgreSQL"):
        append_only.missing(Elsewhere())
