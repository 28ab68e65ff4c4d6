"""P24: preprocessed material is consumed exactly once, whatever crashes, races or is restored."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.workers.mpc.parties import parties
from workers.mpc.preprocessing import transfers
from workers.mpc.preprocessing.triple_sources import TriplePool, from_piece, to_pieces
from workers.mpc.preprocessing.triples import Triples, multiplication_triples
from workers.mpc.profiles import additive
from workers.mpc.protocol import Party, PartyId, Protocol, run_locally
from workers.mpc.ranges import Range
from workers.mpc.rings.words import Z64
from workers.party import preprocessed
from workers.party.cli import main
from workers.party.errors import HomeError
from workers.party.home import Configuration, SiteHome

PEERS = ("alder", "birch", "cedar")
PIECES = [bytes([number]) * 40 for number in range(10)]


def make(path: Path, site: str = "alder") -> SiteHome:
    return SiteHome.create(path, Configuration(site, "https://portal.example", None, "filesystem"))


@pytest.fixture
def home(tmp_path: Path) -> SiteHome:
    return make(tmp_path / "alder")


@pytest.fixture
def batch(home: SiteHome) -> str:
    name = preprocessed.batch_name(PEERS, "triples Z/2^64", b"nonce")
    preprocessed.deposit(home, batch=name, kind="triples Z/2^64", peers=PEERS, pieces=PIECES)
    return name


def found(home: SiteHome, batch: str) -> preprocessed.Batch:
    with home.store.reading() as transaction:
        return preprocessed.get(transaction, batch)


def sealed_file(home: SiteHome, batch: str) -> Path:
    return home.path / "preprocessed" / f"{batch}.sealed"


def test_pieces_come_out_once_in_order(home: SiteHome, batch: str) -> None:
    assert preprocessed.take(home, batch, 0, 2) == PIECES[:2]
    assert found(home, batch).next_piece == 2
    # A peer is further on: what lies between is passed over and lost.
    assert preprocessed.take(home, batch, 5, 1) == PIECES[5:6]
    assert found(home, batch).left == 4
    for first, count in ((0, 1), (5, 1), (4, 3), (6, 5), (10, 1)):
        with pytest.raises(HomeError, match="has pieces 6 to 9 left"):
            preprocessed.take(home, batch, first, count)
    with pytest.raises(HomeError, match="one at the least"):
        preprocessed.take(home, batch, 6, 0)


def test_nothing_readable_lies_on_the_disk_and_used_pieces_are_gone(
    home: SiteHome, batch: str
) -> None:
    path = sealed_file(home, batch)
    assert path.stat().st_mode & 0o077 == 0
    before = path.read_bytes()
    assert not any(piece in before for piece in PIECES[1:])
    preprocessed.take(home, batch, 0, 3)
    after = path.read_bytes()
    step = 40 + preprocessed.TAG_BYTES
    assert after[: 3 * step] == bytes(3 * step)
    assert after[3 * step :] == before[3 * step :]


def test_the_database_refuses_a_second_use(home: SiteHome, batch: str) -> None:
    preprocessed.take(home, batch, 0, 2)
    for statement in (
        f"INSERT INTO consumed_pieces VALUES ('{batch}', 1)",
        f"INSERT INTO consumed_pieces VALUES ('{batch}', 3)",
        f"DELETE FROM consumed_pieces WHERE batch = '{batch}'",
        "UPDATE consumed_pieces SET piece = 9",
        f"DELETE FROM batches WHERE batch = '{batch}'",
    ):
        with pytest.raises(sqlite3.IntegrityError), home.store.transaction() as transaction:
            transaction.execute(statement)


def test_a_store_from_a_backup_is_refused(home: SiteHome, batch: str, tmp_path: Path) -> None:
    home.store.forget_erased()
    backup = tmp_path / "backup.sqlite3"
    shutil.copy(home.store.path, backup)
    preprocessed.take(home, batch, 0, 2)
    home.store.forget_erased()
    restored = SiteHome(home.path)
    shutil.copy(backup, home.store.path)
    for leftover in ("-wal", "-shm"):
        Path(f"{home.store.path}{leftover}").unlink(missing_ok=True)
    assert found(restored, batch).next_piece == 0, "the old store has forgotten"
    with pytest.raises(HomeError, match=r"was used or altered.*--discard"):
        preprocessed.take(restored, batch, 0, 1)


def test_store_and_file_from_a_backup_are_refused(
    home: SiteHome, batch: str, tmp_path: Path
) -> None:
    home.store.forget_erased()
    shutil.copytree(home.path, tmp_path / "backup")
    preprocessed.take(home, batch, 0, 2)
    shutil.rmtree(home.path)
    shutil.copytree(tmp_path / "backup", home.path)
    with pytest.raises(HomeError, match="is not the file that this store wrote"):
        preprocessed.take(SiteHome(home.path), batch, 0, 1)


def test_an_altered_file_is_refused(home: SiteHome, batch: str) -> None:
    with sealed_file(home, batch).open("r+b") as file:
        file.write(b"x")
    with pytest.raises(HomeError, match="used or altered"):
        preprocessed.take(home, batch, 0, 1)


RACE = """
import sys
from pathlib import Path
from workers.party import preprocessed
from workers.party.errors import HomeError
from workers.party.home import SiteHome
home, batch = SiteHome(Path(sys.argv[1])), sys.argv[2]
sys.stdin.readline()
for number in range(10):
    try:
        [piece] = preprocessed.take(home, batch, number, 1)
    except HomeError:
        continue
    print(piece[0])
"""

DIE = """
import os, signal, sys
from pathlib import Path
from workers.party import preprocessed
from workers.party.home import SiteHome
preprocessed._read_and_erase = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
preprocessed.take(SiteHome(Path(sys.argv[1])), sys.argv[2], 0, 3)
"""


def test_processes_that_race_never_get_the_same_piece(home: SiteHome, batch: str) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(home.path), batch],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    taken = [int(line) for racer in racers for line in racer.communicate(timeout=60)[0].split()]
    assert len(taken) == len(set(taken))
    assert len(taken) >= 1
    assert found(home, batch).next_piece == max(taken) + 1


def test_a_crash_between_commit_and_use_loses_the_pieces(home: SiteHome, batch: str) -> None:
    died = subprocess.run([sys.executable, "-c", DIE, str(home.path), batch], check=False)
    assert died.returncode == -signal.SIGKILL
    assert found(home, batch).next_piece == 3
    assert preprocessed.take(home, batch, 3, 1) == PIECES[3:4]


def test_a_batch_is_deposited_once_and_of_equal_pieces(home: SiteHome, batch: str) -> None:
    with pytest.raises(HomeError, match="deposited once"):
        preprocessed.deposit(home, batch=batch, kind="k", peers=PEERS, pieces=PIECES)
    for pieces in ([], [b""], [b"a", b"bc"]):
        with pytest.raises(HomeError, match="all of one size"):
            preprocessed.deposit(home, batch="b", kind="k", peers=PEERS, pieces=pieces)
    other = preprocessed.batch_name(PEERS, "triples Z/2^64", b"another nonce")
    assert other != batch


def test_the_operator_lists_and_discards(
    home: SiteHome, batch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--home", str(home.path), "preprocessed"])
    listed = capsys.readouterr().out
    assert batch in listed
    assert "10 of 10 pieces left" in listed
    assert "alder, birch, cedar" in listed
    main(["--home", str(home.path), "preprocessed", "--discard", batch])
    assert not sealed_file(home, batch).exists()
    with pytest.raises(HomeError, match="or it was discarded"):
        preprocessed.take(home, batch, 0, 1)
    capsys.readouterr()
    main(["--home", str(home.path), "preprocessed"])
    assert "Nothing was computed ahead." in capsys.readouterr().out


def test_three_sites_compute_with_triples_made_ahead(tmp_path: Path) -> None:
    """Made in one session, used in another: no transfer is set up there."""
    homes = [make(tmp_path / site, site) for site in PEERS]
    name = preprocessed.batch_name(PEERS, "triples Z/2^64", b"joint")

    def make_ahead(party: Party) -> Protocol[Triples]:
        session = yield from transfers.set_up(party, b"the night before")
        return (yield from multiplication_triples(session, Z64, (64,)))

    made = run_locally([make_ahead(party) for party in parties(3)])
    for home, triples in zip(homes, made, strict=True):
        pieces = to_pieces(triples, 16)
        preprocessed.deposit(home, batch=name, kind="triples Z/2^64", peers=PEERS, pieces=pieces)
    preprocessed.take(homes[1], name, 0, 1)  # one of them lost an attempt meanwhile

    def compute(party: Party) -> Protocol[list[int]]:
        home = homes[party.id]
        first = yield from preprocessed.agree_on_piece(party, found(home, name).next_piece)
        pool = TriplePool(None)
        for piece in preprocessed.take(home, name, first, 2):
            pool.add(from_piece(Z64, piece))
        engine = yield from additive.start(party, triples=pool)
        own = np.arange(20) + party.id
        inputs = yield from engine.input_from([PartyId(0), PartyId(1)], own, (20,), Range(0, 100))
        product = yield from engine.multiply(*inputs)
        assert pool.left(Z64) == 12
        return (yield from engine.open(product)).tolist()

    expected = (np.arange(20) * (np.arange(20) + 1)).tolist()
    assert run_locally([compute(party) for party in parties(3, seed=9)]) == [expected] * 3
    assert [found(home, name).next_piece for home in homes] == [3, 3, 3]
