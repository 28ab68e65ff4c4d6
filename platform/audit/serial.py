"""One writer of the audit log at a time, whatever the number of processes."""

from django.db import connection

# Any number that nothing else in the database locks: "audit" in ASCII.
_ADVISORY_LOCK = 0x6175646974


def serialise() -> None:
    """Wait until no other transaction writes to the log, and keep others out until this one ends.

    PostgreSQL gives its advisory lock to one transaction at a time. SQLite has one writer at a
    time anyway, and `transaction_mode = "IMMEDIATE"` in the settings makes a transaction wait for
    its turn before it reads; without that, a late writer would fail rather than break the chain.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
