"""What an entry's page needs to show, and to have the browser check, that the entry is logged."""

from dataclasses import dataclass
from typing import Any

from audit import log, merkle
from audit.entry import Entry
from governance.roster import Roster


@dataclass(frozen=True)
class ProofSheet:
    """An inclusion proof under the latest checkpoint, checked here before it is shown."""

    size: int
    root: str
    path: tuple[str, ...]
    holds: bool
    document: dict[str, Any]


def proof_sheet(entry: Entry, roster: Roster | None) -> ProofSheet | None:
    """Return the proof for `entry`, or None while no checkpoint covers it.

    *Cost*: reads the leaf hashes of every entry under the checkpoint.
    *Security*: `document` is what `static/js/verify_proof.js` computes with. It comes from the
    portal; an auditor who does not trust the portal takes the receipt away and compares the root
    with a checkpoint kept elsewhere.
    """
    head = log.latest_checkpoint()
    if head is None or entry.index >= head.size:
        return None
    path = log.inclusion(entry.index, head.size)
    try:
        merkle.verify_inclusion(
            leaf=entry.leaf_hash, index=entry.index, size=head.size, proof=path, root=head.root
        )
        holds = True
    except merkle.ProofError:
        holds = False
    hashes = tuple(value.hex() for value in path)
    document = {
        "index": entry.index,
        "size": head.size,
        "root": head.root.hex(),
        "path": hashes,
        "leaf": entry.leaf.decode(),
        "leaf_hash": entry.leaf_hash.hex(),
        "previous": entry.previous.hex(),
        "chain_hash": entry.chain_hash.hex(),
        "note": head.note,
        "log_key": roster.portal.log_key if roster else "",
    }
    return ProofSheet(head.size, head.root.hex(), hashes, holds, document)
