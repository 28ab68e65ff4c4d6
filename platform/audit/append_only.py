"""Triggers by which the database itself refuses to change the audit log.

On SQLite and PostgreSQL: no row of the three tables is updated or deleted, an entry's index is
always the next one, and a checkpoint is always larger than those before it. On PostgreSQL also:
no TRUNCATE. On SQLite the rules about inserting also stop ``INSERT OR REPLACE``, which deletes
rows without firing triggers on deletion.

This is hygiene, not evidence: the owner of the database can drop a trigger. What cannot be
undone is a checkpoint that somebody else holds.

SQLite drops a table's triggers when a migration rebuilds the table. A migration that alters one
of these tables must end with `install` again; `missing` tells whether they are all there, and
`verify_audit_log` asks it.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = ("audit_entry", "audit_checkpoint", "audit_cosignature")

_REFUSAL = "the audit log is append-only"
# What makes a new row wrong, as SQL over NEW: that it is out of order, or replaces another.
_WRONG_INSERT = {
    "audit_entry": 'NEW."index" <> (SELECT COALESCE(MAX("index") + 1, 0) FROM audit_entry)',
    "audit_checkpoint": "NEW.size <= (SELECT COALESCE(MAX(size), -1) FROM audit_checkpoint)",
    "audit_cosignature": (
        "EXISTS (SELECT 1 FROM audit_cosignature AS other WHERE other.id = NEW.id OR "
        "(other.checkpoint_id = NEW.checkpoint_id AND other.line = NEW.line))"
    ),
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers on all three tables, replacing any that exist.

    *Raises* NotImplementedError on any other database than SQLite and PostgreSQL.
    """
    remove(connection)
    with connection.cursor() as cursor:
        for name, table, operation in _triggers(connection.vendor):
            create = _postgresql if connection.vendor == "postgresql" else _sqlite
            for statement in create(name, table, operation):
                cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Drop the triggers: for undoing the migration, and for tests that must clear the tables."""
    with connection.cursor() as cursor:
        for name, table, _ in _triggers(connection.vendor):
            if connection.vendor == "postgresql":
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
                cursor.execute(f"DROP FUNCTION IF EXISTS {name}()")
            else:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the triggers that should be there and are not, or are switched off."""
    wanted = [name for name, _, _ in _triggers(connection.vendor)]
    if connection.vendor == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"
    else:
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    with connection.cursor() as cursor:
        cursor.execute(query)
        present = {name for (name,) in cursor.fetchall()}
    return [name for name in wanted if name not in present]


def install_in_migration(_apps: Any, schema_editor: Any) -> None:
    """`install`, in the form that RunPython calls."""
    install(schema_editor.connection)


def remove_in_migration(_apps: Any, schema_editor: Any) -> None:
    """`remove`, in the form that RunPython calls."""
    remove(schema_editor.connection)


def _triggers(vendor: str) -> list[tuple[str, str, str]]:
    """Return name, table and operation of each trigger that this kind of database needs."""
    operations = {
        "sqlite": ("update", "delete", "insert"),
        "postgresql": ("update", "delete", "insert", "truncate"),
    }
    if vendor not in operations:
        raise NotImplementedError(
            f"expected SQLite or PostgreSQL for the audit log, got {vendor}: "
            "no triggers are written for it that keep the log append-only"
        )
    return [
        (f"{table}_refuse_{operation}", table, operation)
        for table in TABLES
        for operation in operations[vendor]
    ]


def _sqlite(name: str, table: str, operation: str) -> list[str]:
    condition = f"WHEN {_WRONG_INSERT[table]}" if operation == "insert" else ""
    return [
        f"CREATE TRIGGER {name} BEFORE {operation} ON {table} {condition} "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}: {operation} on {table} refused'); END"
    ]


def _postgresql(name: str, table: str, operation: str) -> list[str]:
    # A WHEN clause may not contain a query there, so the condition stands in the function.
    condition = _WRONG_INSERT[table] if operation == "insert" else "TRUE"
    level = "STATEMENT" if operation == "truncate" else "ROW"
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {condition} THEN "
        f"RAISE EXCEPTION '{_REFUSAL}: {operation} on {table} refused'; "
        "END IF; RETURN NEW; END $$",
        f"CREATE TRIGGER {name} BEFORE {operation} ON {table} "
        f"FOR EACH {level} EXECUTE FUNCTION {name}()",
    ]
