"""Receipts: the proof, on one sheet, that an entry is in the log (C2SP `tlog-proof`).

    c2sp.org/tlog-proof@v1
    index 73894
    gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=          <- the inclusion proof, bottom upwards
    B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
                                                          <- an empty line, then the checkpoint,
    portal.example/quorate-log                               with the log's signature and the
    109482                                                   witnesses' cosignatures
    sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

    — portal.example/quorate-log hI2DJw...

A site verifies one before it gives up an output share; whoever signed something keeps one as
evidence that it was logged.

See https://c2sp.org/tlog-proof
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit import checkpoint as tree_head
from audit import merkle
from audit.signed_note import NoteError, SignedNote, VerifierKey, decode_base64

MAX_PROOF_LENGTH = 63
_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class Receipt:
    """An entry's index, its inclusion proof, and the checkpoint that the proof leads to."""

    index: int
    proof: merkle.Proof
    note: SignedNote

    def __post_init__(self) -> None:
        size = tree_head.Checkpoint.parse(self.note.text).size
        if not 0 <= self.index < size:
            raise NoteError(f"expected an entry below the checkpoint's {size}, got {self.index}")

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """Return the receipt that `text` encodes, unverified. Extra data lines are refused.

        *Raises* NoteError for anything that `encode` would write differently.
        """
        head, blank, note = text.partition("\n\n")
        lines = head.split("\n")
        match = re.fullmatch(r"index (0|[1-9][0-9]{0,18})", lines[1] if lines[1:] else "", re.ASCII)
        if lines[0] != _HEADER or match is None or not blank:
            raise NoteError(f"expected {_HEADER}, an index line, a proof and a checkpoint")
        if len(lines) - 2 > MAX_PROOF_LENGTH:
            raise NoteError(f"expected at most {MAX_PROOF_LENGTH} hashes in an inclusion proof")
        proof = tuple(decode_base64(line) for line in lines[2:])
        return cls(int(match[1]), proof, SignedNote.parse(note))

    def encode(self) -> str:
        """Return the receipt as text."""
        hashes = [base64.b64encode(value).decode() for value in self.proof]
        return "\n".join([_HEADER, f"index {self.index}", *hashes, "", self.note.encode()])

    def verify(
        self, leaf: bytes, *, log: VerifierKey, witnesses: Sequence[VerifierKey], quorum: int
    ) -> tree_head.Checkpoint:
        """Return the checkpoint, once everything shows that `leaf` is in it.

        The caller still reads the leaf: a receipt shows that an entry is logged, not what it says.

        *Security*: `log`, `witnesses` and `quorum` are the verifier's own, never the portal's.
        *Raises* NoteError when the log's signature or the quorum of cosignatures is wanting;
        merkle.ProofError when the proof does not lead from the leaf to the checkpoint.
        """
        checkpoint = tree_head.verify(self.note, log)
        found = tree_head.cosigners(self.note, tuple(witnesses))
        if len(found) < quorum:
            raise NoteError(f"expected {quorum} cosignatures of known witnesses, got {len(found)}")
        merkle.verify_inclusion(
            leaf=merkle.leaf_hash(leaf),
            index=self.index,
            size=checkpoint.size,
            proof=self.proof,
            root=checkpoint.root,
        )
        return checkpoint
