"""The site's store: one SQLite file that survives the death of every process that writes it.

Write-ahead log, every transaction IMMEDIATE, every commit on the disk before it counts. What
must be true is a constraint or a trigger of the database: states move forward only, a finished
attempt holds no secret, a data set's budget is never exceeded, a witness never goes back.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from workers.party.errors import HomeError
from workers.party.tables import ADDITIONS, MOVES, TABLES

VERSION = 3
BUSY_TIMEOUT_SECONDS = 20

Transaction = sqlite3.Connection
"""An open IMMEDIATE transaction; functions that take one neither begin nor commit."""


class Store:
    """The store at `path`; usable from any thread and, after a fork, from the child."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def create(self) -> None:
        """Make the tables. *Raises* HomeError when there is a store already."""
        if self.path.exists():
            raise HomeError(f"{self.path} exists: a store is never overwritten")
        os.close(os.open(self.path, os.O_CREAT | os.O_EXCL, 0o600))
        connection = self._connect()
        connection.executescript(f"BEGIN IMMEDIATE; {TABLES}")
        connection.executemany("INSERT INTO moves VALUES (?, ?)", MOVES)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Open an IMMEDIATE transaction; commit it at the end, or undo all of it on an error."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Open one consistent view of the store; nothing can be written through it."""
        connection = self._connection()
        connection.execute("BEGIN DEFERRED")
        connection.execute("PRAGMA query_only = ON")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")
            connection.execute("PRAGMA query_only = OFF")

    def forget_erased(self) -> None:
        """Overwrite the write-ahead log, in which erased keys and shares would still stand."""
        self._connection().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _connection(self) -> sqlite3.Connection:
        # SQLite connections belong to one thread and must not cross a fork.
        held: tuple[int, sqlite3.Connection] | None = getattr(self._local, "held", None)
        if held is None or held[0] != os.getpid():
            if not self.path.exists():
                raise HomeError(f"{self.path} is missing: run 'site-agent init'")
            held = (os.getpid(), self._connect())
            found = _brought_up_to_date(held[1])
            if found != VERSION:
                raise HomeError(f"{self.path} has version {found}; this agent writes {VERSION}")
            self._local.held = held
        return held[1]

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=True
        )
        connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection


def _brought_up_to_date(connection: sqlite3.Connection) -> int:
    """Add what an older store lacks, one version after the other; return the version reached."""

    def version() -> int:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    while version() in ADDITIONS:
        connection.execute("BEGIN IMMEDIATE")
        try:
            before = version()  # another process may have been first
            for statement in _statements(ADDITIONS.get(before, "")):
                connection.execute(statement)
            if before in ADDITIONS:
                connection.execute(f"PRAGMA user_version = {before + 1}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    return version()


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script; executescript would commit the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def record(
    transaction: Transaction,
    *,
    at: datetime,
    event: str,
    run: str = "",
    attempt: int = 0,
    detail: str = "",
) -> None:
    """Write to the site's journal what happened; `detail` never carries a value from the data."""
    transaction.execute(
        "INSERT INTO journal (at, event, run, attempt, detail) VALUES (?, ?, ?, ?, ?)",
        (at.isoformat(timespec="milliseconds"), event, run, attempt, detail),
    )
