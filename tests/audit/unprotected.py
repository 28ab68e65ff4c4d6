"""What only the owner of the database can do: switch the audit log's triggers off.

Two kinds of test need it: those that play the attacker who owns the database, and those that
commit for real and must empty all tables afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test import TransactionTestCase

from audit import append_only


@contextmanager
def unprotected() -> Iterator[None]:
    """Let the enclosed statements change the audit log."""
    # PostgreSQL drops no trigger of a table whose foreign keys it has yet to check.
    connection.check_constraints()
    append_only.remove(connection)
    try:
        yield
    finally:
        connection.check_constraints()
        append_only.install(connection)


@contextmanager
def clearing_allowed() -> Iterator[None]:
    """Let Django empty the tables after each test that commits, in spite of the triggers."""
    clear = TransactionTestCase._fixture_teardown

    def clear_unprotected(self: TransactionTestCase) -> None:
        with unprotected():
            clear(self)

    TransactionTestCase._fixture_teardown = clear_unprotected
    try:
        yield
    finally:
        TransactionTestCase._fixture_teardown = clear
