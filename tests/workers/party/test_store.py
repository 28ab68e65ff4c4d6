"""The site's store: states move forward only, and a crash leaves either everything or nothing."""

from __future__ import annotations

import argparse
import itertools
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.factories.evidence import NOW
from workers.party import attempts, commands, endings, ledger
from workers.party.errors import LeaseLost, StateError
from workers.party.home import SiteHome
from workers.party.store import VERSION, Store, Transaction
from workers.party.tables import ADDITIONS, FINAL, TABLES

STATES = ("offered", "accepted", "queued", "computing", "sealed", "opened", "refused", "failed")

ALLOWED = {
    ("offered", "accepted"), ("offered", "refused"), ("offered", "failed"),
    ("accepted", "queued"), ("accepted", "refused"), ("accepted", "failed"),
    ("queued", "computing"), ("queued", "failed"),
    ("computing", "sealed"), ("computing", "failed"),
    ("sealed", "opened"), ("sealed", "refused"), ("sealed", "failed"),
}  # fmt: skip
"""Written by hand, so that a change of the table is a decision."""


def put(transaction: Transaction, state: str) -> None:
    """Bring attempt 1 of run-1 into a state by the real functions."""
    attempts.offer(transaction, "run-1", 1, private_key=b"secret", study_digest="d")
    steps = {
        "accepted": lambda: attempts.accept(transaction, "run-1", 1, manifest=b"m"),
        "queued": lambda: attempts.queue(transaction, "run-1", 1),
        "computing": lambda: attempts.take(transaction, "run-1", 1),
        "sealed": lambda: attempts.seal(
            transaction,
            attempts.get(transaction, "run-1", 1),
            share=b"share",
            salt=b"salt",
            certificate="{}",
        ),
    }
    for name, step in steps.items():
        if state == "offered":
            return
        if state in ("refused", "failed"):
            attempts.finish(transaction, "run-1", 1, state, reason="")
            return
        step()
        if state == name:
            return
    attempts.finish(transaction, "run-1", 1, state, reason="")


@pytest.mark.parametrize(("source", "target"), list(itertools.product(STATES, STATES)))
def test_only_the_moves_of_the_table_are_possible(home: SiteHome, source: str, target: str) -> None:
    with home.store.transaction() as transaction:
        put(transaction, source)
        if source == target:
            return
        # Straight to the database, past every function: the trigger is the last word.
        move = (
            "UPDATE attempts SET state = ?, lease = 'x', certificate = 'c', private_key = NULL,"
            " output_share = CASE ? WHEN 'sealed' THEN x'00' END,"
            " commitment_salt = CASE ? WHEN 'sealed' THEN x'00' END"
        )
        if (source, target) in ALLOWED:
            transaction.execute(move, (target,) * 3)
        else:
            with pytest.raises(sqlite3.IntegrityError):
                transaction.execute(move, (target,) * 3)


@pytest.mark.parametrize("state", FINAL)
def test_a_finished_attempt_holds_no_secret(home: SiteHome, state: str) -> None:
    with home.store.transaction() as transaction:
        put(transaction, state)
        found = attempts.get(transaction, "run-1", 1)
        assert (found.private_key, found.output_share, found.commitment_salt) == (None,) * 3
        with pytest.raises(sqlite3.IntegrityError, match="holds_no_secret"):
            transaction.execute("UPDATE attempts SET private_key = x'00'")


def test_a_finished_attempt_s_secrets_are_gone_from_the_files(home: SiteHome) -> None:
    secret = b"a private key of thirty-two bytes"
    with home.store.transaction() as transaction:
        attempts.offer(transaction, "run-1", 1, private_key=secret)
    with home.store.transaction() as transaction:
        attempts.finish(transaction, "run-1", 1, "failed", reason="")
    home.store.forget_erased()
    files = list(home.path.glob("store.sqlite3*"))
    assert files
    assert not any(secret in file.read_bytes() for file in files)


def test_an_attempt_prints_none_of_its_secrets(home: SiteHome) -> None:
    with home.store.transaction() as transaction:
        put(transaction, "sealed")
        printed = repr(attempts.get(transaction, "run-1", 1))
    assert "share" not in printed
    assert "secret" not in printed


def test_two_workers_cannot_both_take_an_attempt(home: SiteHome) -> None:
    with home.store.transaction() as transaction:
        put(transaction, "queued")
    outcomes: list[str] = []
    together = threading.Barrier(4)

    def take() -> None:
        together.wait()
        try:
            with home.store.transaction() as transaction:
                attempts.take(transaction, "run-1", 1)
            outcomes.append("taken")
        except LeaseLost:
            outcomes.append("lost")

    run_in_threads(take, 4)
    assert sorted(outcomes) == ["lost", "lost", "lost", "taken"]


def test_a_worker_that_lost_its_lease_seals_nothing(home: SiteHome) -> None:
    with home.store.transaction() as transaction:
        put(transaction, "computing")
        held = attempts.get(transaction, "run-1", 1)
        endings.stop(transaction, held, reason="site_lost", now=NOW)
    with pytest.raises(LeaseLost), home.store.transaction() as transaction:
        attempts.seal(transaction, held, share=b"s", salt=b"s", certificate="{}")
    with home.store.reading() as transaction:
        assert attempts.get(transaction, "run-1", 1).state == "failed"


@pytest.mark.parametrize("statements", range(1, 8))
def test_a_crash_at_any_statement_leaves_all_or_nothing(home: SiteHome, statements: int) -> None:
    """Stopping an attempt writes state, ledger, journal and answer; die after each statement."""
    reserve(home, "run-1")
    with home.store.transaction() as transaction:
        put(transaction, "accepted")

    def die_at(_: object, *__: object) -> int:
        nonlocal statements
        statements -= 1
        return sqlite3.SQLITE_DENY if statements < 0 else sqlite3.SQLITE_OK

    try:
        with home.store.transaction() as transaction:
            found = attempts.get(transaction, "run-1", 1)
            transaction.set_authorizer(die_at)
            try:
                endings.stop(transaction, found, reason="cancelled", now=NOW)
            finally:
                transaction.set_authorizer(None)
        died = False
    except sqlite3.DatabaseError:
        died = True
    with home.store.reading() as transaction:
        found = attempts.get(transaction, "run-1", 1)
        balance = ledger.balance(transaction, "lung")
        told = attempts.stored_answer(transaction, "run-1", 1, endings.END)
    assert balance is not None
    assert died
    assert (found.state, balance.reserved, told) == ("accepted", 2_000_000, None)


def test_a_step_from_another_state_changes_nothing(home: SiteHome) -> None:
    with home.store.transaction() as transaction:
        put(transaction, "offered")
        with pytest.raises(StateError, match="is not accepted"):
            attempts.queue(transaction, "run-1", 1)
        assert attempts.get(transaction, "run-1", 1).state == "offered"


def test_moments_in_the_journal_say_their_zone(home: SiteHome) -> None:
    with home.store.reading() as transaction:
        written = transaction.execute("SELECT at FROM journal").fetchone()[0]
    assert datetime.fromisoformat(written).tzinfo == UTC


# The ledger.


def reserve(home: SiteHome, run: str, *, amount: int = 2_000_000, max_runs: int = 100) -> None:
    """Reserve one run's charge on the data set lung, whose budget is 10 epsilon."""
    with home.store.transaction() as transaction:
        ledger.reserve(
            transaction,
            site="alder",
            data_set="lung",
            run=run,
            attempt=1,
            study_digest="d",
            amount=amount,
            max_runs=max_runs,
        )


def test_racing_runs_never_overdraw_a_budget(home: SiteHome) -> None:
    """Ten runs of 2 race for a budget of 10: five get it, whoever they are."""
    outcomes: list[str] = []
    together = threading.Barrier(10)

    def race() -> None:
        together.wait()
        try:
            reserve(home, f"run-{threading.get_ident()}")
            outcomes.append("reserved")
        except ValueError as error:
            outcomes.append(getattr(error, "code", str(error)))

    run_in_threads(race, 10)
    assert sorted(outcomes) == ["budget_exhausted"] * 5 + ["reserved"] * 5
    with home.store.reading() as transaction:
        balance = ledger.balance(transaction, "lung")
    assert balance is not None
    assert (balance.reserved, balance.left) == (10_000_000, 0)


def test_the_database_itself_refuses_an_overdraft(home: SiteHome) -> None:
    with (
        pytest.raises(sqlite3.IntegrityError, match="budget of this data set is exhausted"),
        home.store.transaction() as transaction,
    ):
        transaction.execute(
            "INSERT INTO charges VALUES ('r', 1, 'lung', 'd', 10000001, 'reserved')"
        )


def test_the_database_itself_refuses_to_hold_two_charges_of_one_run(home: SiteHome) -> None:
    """Two attempts of a run that are both reserved could both be opened, each with fresh noise."""
    reserve(home, "run-1")
    with (
        pytest.raises(sqlite3.IntegrityError, match="UNIQUE"),
        home.store.transaction() as transaction,
    ):
        transaction.execute("INSERT INTO charges VALUES ('run-1', 2, 'lung', 'd', 1, 'reserved')")


def test_what_is_committed_is_never_given_back(home: SiteHome) -> None:
    reserve(home, "run-1")
    with home.store.transaction() as transaction:
        assert ledger.commit(transaction, "run-1", 1) == 2_000_000
        ledger.release(transaction, "run-1", 1)
        balance = ledger.balance(transaction, "lung")
        with pytest.raises(sqlite3.IntegrityError):
            transaction.execute("UPDATE charges SET state = 'released'")
        with pytest.raises(sqlite3.IntegrityError):
            transaction.execute("DELETE FROM charges")
        with pytest.raises(LookupError):
            ledger.commit(transaction, "run-1", 1)
    assert balance is not None
    assert (balance.committed, balance.left) == (2_000_000, 8_000_000)


def test_a_run_that_was_given_up_frees_budget_and_number(home: SiteHome) -> None:
    reserve(home, "run-1", max_runs=1)
    with pytest.raises(ValueError, match=r"allows \(1\) have been used"):
        reserve(home, "run-2", max_runs=1)
    with home.store.transaction() as transaction:
        ledger.release(transaction, "run-1", 1)
    reserve(home, "run-2", max_runs=1)


def test_a_registered_budget_cannot_be_raised(home: SiteHome) -> None:
    with home.store.transaction() as transaction, pytest.raises(sqlite3.IntegrityError):
        transaction.execute("UPDATE data_sets SET cap = cap + 1")


def run_in_threads(work: object, count: int) -> None:
    """Run one function in several threads at once and wait for all."""
    assert callable(work)
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_balances_are_printed_in_epsilon(
    home: SiteHome, capsys: pytest.CaptureFixture[str]
) -> None:
    reserve(home, "run-1")
    commands.budget(argparse.Namespace(home=home.path))
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["in", "epsilon", "cap", "committed", "reserved", "left"]
    assert line.split() == ["lung", "10", "0", "2", "8"]


@pytest.mark.parametrize("version", sorted(ADDITIONS))
def test_an_older_store_is_brought_up_to_date(version: int, tmp_path: Path) -> None:
    added_since = [addition for since, addition in ADDITIONS.items() if since >= version]
    old = TABLES
    for addition in added_since:
        old = old.replace(addition, "")
    path = tmp_path / "store.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(old)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.commit()
    connection.close()

    def tables(store: Store) -> set[str]:
        with store.reading() as transaction:
            assert transaction.execute("PRAGMA user_version").fetchone()[0] == VERSION
            return {row["sql"] for row in transaction.execute("SELECT sql FROM sqlite_master")}

    fresh = Store(tmp_path / "fresh.sqlite3")
    fresh.create()
    assert tables(Store(path)) == tables(fresh)
