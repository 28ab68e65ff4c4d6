"""Triples made ahead of time, kept encrypted at the site, each piece used once and never again.

A batch is one file of equal pieces::

    preprocessed/<batch>.sealed     piece 0 | piece 1 | ...    each AES-256-GCM, nonce = its number,
                                    associated data = batch, kind, peers and count

The key stands in the site's store. That a piece is consumed is committed there, under a unique
constraint, *before* the piece is read; then its ciphertext is overwritten. So neither a crash, nor
two processes, nor a retry uses a piece twice:

* A store restored from a backup would give back old keys and forget what was consumed. It finds
  another file than the one it wrote (the inode), or overwritten pieces, and refuses the batch.
* All parties of a batch take the same pieces: they tell each other where they stand and take the
  furthest place (:func:`agreed_piece`). So even a site whose whole disk was set back goes on where
  its peers are. Only if *all* sites of a batch are set back together, disks and all, nobody knows;
  operators must discard batches after that (``site-agent preprocessed --discard``).

Material that an attempt has taken is lost with the attempt.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.mpc.protocol import Party, Protocol, Round
from workers.party.errors import HomeError
from workers.party.home import SiteHome
from workers.party.store import Transaction

TAG_BYTES = 16


@dataclass(frozen=True)
class Batch:
    """What is known of a batch: never its key, never its content."""

    batch: str
    kind: str
    peers: tuple[str, ...]
    pieces: int
    piece_bytes: int
    next_piece: int

    @property
    def left(self) -> int:
        """How many pieces are left."""
        return self.pieces - self.next_piece


def batch_name(peers: Sequence[str], kind: str, nonce: bytes) -> str:
    """Return the name that all parties give a batch: a digest of the sites, its kind, a nonce.

    The nonce is one that the parties drew together when they made the material.
    """
    text = "\n".join(["quorate/preprocessed/v1", kind, *peers]).encode()
    return sha256(text + b"\n" + nonce).hexdigest()


def deposit(
    home: SiteHome, *, batch: str, kind: str, peers: Sequence[str], pieces: Sequence[bytes]
) -> None:
    """Keep the pieces of a new batch. *Raises* HomeError if it exists or the pieces differ in size.

    The file is complete and on the disk before the store knows of it.
    """
    sizes = {len(piece) for piece in pieces}
    if len(sizes) != 1 or 0 in sizes:
        raise HomeError("a batch has one piece or more, all of one size")
    key = AESGCM.generate_key(256)
    piece_bytes = sizes.pop()
    bound = _bound(batch, kind, tuple(peers), len(pieces), piece_bytes)
    cipher = AESGCM(key)
    path = _path(home, batch)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists():
        raise HomeError(f"{path} exists: a batch is deposited once")
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for number, piece in enumerate(pieces):
            file.write(cipher.encrypt(_nonce(number), piece, bound))
        file.flush()
        os.fsync(file.fileno())
        inode = os.fstat(file.fileno()).st_ino
    partial.rename(path)
    _sync_folder(path.parent)
    with home.store.transaction() as transaction:
        transaction.execute(
            "INSERT INTO batches (batch, kind, peers, pieces, piece_bytes, key, inode)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (batch, kind, "\n".join(peers), len(pieces), piece_bytes, key, inode),
        )


def batches(transaction: Transaction) -> list[Batch]:
    """Return the batches that are not discarded, oldest first."""
    rows = transaction.execute("SELECT * FROM batches WHERE key IS NOT NULL ORDER BY rowid")
    return [_batch(transaction, row) for row in rows]


def get(transaction: Transaction, batch: str) -> Batch:
    """Return a batch. *Raises* HomeError if there is none, or it was discarded."""
    return _batch(transaction, _row(transaction, batch))


def agreed_piece(own: int, others: Sequence[int]) -> int:
    """Return the piece that all parties go on with: the furthest that any of them has reached."""
    return max(own, *others)


def agree_on_piece(party: Party, own: int) -> Protocol[int]:
    """Return the agreed piece. *Cost*: 1 round, 8 bytes to every other party."""
    message = own.to_bytes(8, "big")
    arrived = yield Round(dict.fromkeys(party.others, message), dict.fromkeys(party.others, 8))
    return agreed_piece(own, [int.from_bytes(piece, "big") for piece in arrived.values()])


def take(home: SiteHome, batch: str, first: int, count: int) -> list[bytes]:
    """Return ``count`` pieces from ``first`` on; they and all before them are consumed for good.

    *Security*: the consumption is on the disk before anything is read; the pieces' ciphertext is
    overwritten before they are returned (as far as the file system overwrites in place).
    *Raises* HomeError if a piece is consumed already, if there are too few, or if the file is not
    the one that this store wrote.
    """
    if count < 1:
        raise HomeError("pieces are taken one at the least")
    with home.store.transaction() as transaction:
        row = _row(transaction, batch)
        known = _batch(transaction, row)
        if first < known.next_piece or first + count > known.pieces:
            raise HomeError(
                f"batch {batch[:12]} has pieces {known.next_piece} to {known.pieces - 1} left, not "
                f"{first} to {first + count - 1}"
            )
        _check_file(home, batch, row)
        try:
            transaction.executemany(
                "INSERT INTO consumed_pieces (batch, piece) VALUES (?, ?)",
                [(batch, piece) for piece in range(known.next_piece, first + count)],
            )
        except sqlite3.IntegrityError as error:
            raise HomeError(f"batch {batch[:12]}: {error}") from None
    return _read_and_erase(home, known, bytes(row["key"]), first, count)


def discard(home: SiteHome, batch: str) -> None:
    """Forget a batch's key and remove its file. *Raises* HomeError if there is no such batch."""
    with home.store.transaction() as transaction:
        _row(transaction, batch)
        transaction.execute("UPDATE batches SET key = NULL WHERE batch = ?", (batch,))
    _path(home, batch).unlink(missing_ok=True)
    home.store.forget_erased()


def _read_and_erase(
    home: SiteHome, known: Batch, key: bytes, first: int, count: int
) -> list[bytes]:
    cipher = AESGCM(key)
    bound = _bound(known.batch, known.kind, known.peers, known.pieces, known.piece_bytes)
    step = known.piece_bytes + TAG_BYTES
    taken = []
    with _path(home, known.batch).open("r+b") as file:
        file.seek(known.next_piece * step)
        for number in range(known.next_piece, first + count):
            sealed = file.read(step)
            if number < first:
                continue  # passed over, because a peer is further on
            try:
                taken.append(cipher.decrypt(_nonce(number), sealed, bound))
            except InvalidTag:
                raise HomeError(
                    f"piece {number} of batch {known.batch[:12]} was used or altered: the store is "
                    "older than its files. Discard the batch: site-agent preprocessed --discard"
                ) from None
        file.seek(known.next_piece * step)
        file.write(bytes(step * (first + count - known.next_piece)))
        file.flush()
        os.fsync(file.fileno())
    return taken


def _check_file(home: SiteHome, batch: str, row: sqlite3.Row) -> None:
    path = _path(home, batch)
    if not path.exists() or path.stat().st_ino != row["inode"]:
        raise HomeError(
            f"{path} is not the file that this store wrote: one of them comes from a backup, and "
            "its pieces may have been used. Discard the batch: site-agent preprocessed --discard"
        )


def _batch(transaction: Transaction, row: sqlite3.Row) -> Batch:
    last = transaction.execute(
        "SELECT coalesce(max(piece) + 1, 0) FROM consumed_pieces WHERE batch = ?", (row["batch"],)
    ).fetchone()[0]
    peers = tuple(row["peers"].split("\n"))
    return Batch(row["batch"], row["kind"], peers, row["pieces"], row["piece_bytes"], last)


def _row(transaction: Transaction, batch: str) -> sqlite3.Row:
    found: sqlite3.Row | None = transaction.execute(
        "SELECT * FROM batches WHERE batch = ? AND key IS NOT NULL", (batch,)
    ).fetchone()
    if found is None:
        raise HomeError(f"this site has no batch {batch[:12]}, or it was discarded")
    return found


def _bound(batch: str, kind: str, peers: tuple[str, ...], pieces: int, piece_bytes: int) -> bytes:
    fields = ("quorate/preprocessed/v1", batch, kind, *peers, str(pieces), str(piece_bytes))
    return "\n".join(fields).encode()


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")  # every batch has its own key


def _path(home: SiteHome, batch: str) -> Path:
    return home.path / "preprocessed" / f"{batch}.sealed"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
