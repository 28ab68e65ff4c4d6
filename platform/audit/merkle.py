"""The Merkle tree of RFC 6962: root hashes, inclusion proofs, consistency proofs.

    leaf hash  = SHA-256(0x00 || leaf)
    node hash  = SHA-256(0x01 || left || right)
    empty root = SHA-256("")

A tree of n > 1 leaves splits at the largest power of two below n; equivalently, each level pairs
its nodes from the left and an odd last node moves up unchanged. The two prefixes keep a leaf
from passing for an inner node.

An *inclusion proof* shows that one leaf hash stands at an index of a tree; a *consistency proof*
shows that an older tree is the beginning of a newer one. Both are tuples of 32-byte hashes, from
the bottom of the tree upwards. Verifiers return nothing and raise: a result that is ignored by
mistake cannot pass for a proof.

See RFC 6962 section 2.1 (making proofs), RFC 9162 sections 2.1.3.2 and 2.1.4.2 (checking them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_SIZE_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

Proof = tuple[bytes, ...]


class ProofError(ValueError):
    """A proof does not show what it is said to show."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of one entry's bytes as a leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node over its two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the root over `leaf_hashes`, in order.

    *Cost*: n - 1 hashes.
    """
    if not leaf_hashes:
        return EMPTY_ROOT
    level = list(leaf_hashes)
    while len(level) > 1:
        level = _next_level(level)
    return level[0]


class Tree:
    """A tree that grows leaf by leaf and knows its root at any time.

    It keeps one hash for each complete subtree, at most log2(n) of them, so that a log of any
    length is checked in one pass.
    """

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        """Make an empty tree, or go on with the `size` and `subtrees` that another one had.

        *Raises* ValueError when so many leaves do not make so many complete subtrees.
        """
        if size.bit_count() != len(subtrees):
            raise ValueError(f"expected {size.bit_count()} subtrees of {size} leaves")
        self.size = size
        self._subtrees = list(subtrees)

    @property
    def subtrees(self) -> tuple[bytes, ...]:
        """The root of each complete subtree, the largest first."""
        return tuple(self._subtrees)

    def add(self, leaf: bytes) -> None:
        """Add the leaf hash `leaf` at the end."""
        node, complete = leaf, self.size
        while complete & 1:
            node, complete = node_hash(self._subtrees.pop(), node), complete >> 1
        self._subtrees.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over the leaves so far."""
        if not self._subtrees:
            return EMPTY_ROOT
        root = self._subtrees[-1]
        for left in reversed(self._subtrees[:-1]):
            root = node_hash(left, root)
        return root


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> Proof:
    """Return the proof that ``leaf_hashes[index]`` is in the tree over `leaf_hashes`.

    *Cost*: n - 1 hashes; at most ceil(log2(n)) hashes in the proof.
    *Raises* ValueError when no leaf has that index.
    """
    if not 0 <= index < len(leaf_hashes):
        raise ValueError(f"expected an index below the size {len(leaf_hashes)}, got {index}")
    proof = []
    level = list(leaf_hashes)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            proof.append(level[sibling])
        level = _next_level(level)
        index //= 2
    return tuple(proof)


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int) -> Proof:
    """Return the proof that the first `old_size` leaves are the beginning of the whole tree.

    The proof is empty when `old_size` is 0 or the size of the whole tree.

    *Cost*: at most n - 1 hashes; at most ceil(log2(n)) + 1 hashes in the proof.
    *Raises* ValueError when the older tree would be the larger one.
    """
    if not 0 <= old_size <= len(leaf_hashes):
        raise ValueError(f"expected an old size up to {len(leaf_hashes)}, got {old_size}")
    if old_size in (0, len(leaf_hashes)):
        return ()
    return tuple(_subproof(leaf_hashes, old_size, known=True))


def verify_inclusion(
    *, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf hash `leaf` stands at `index` of the tree of `size` leaves under `root`.

    *Raises* ProofError when it does not, or when the proof has a hash too many or too few.
    """
    if not 0 <= index < size:
        raise ProofError(f"expected an index below the tree size {size}, got {index}")
    _check_hashes(leaf, root, *proof)
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError(f"expected a shorter inclusion proof for size {size}")
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError(f"expected a longer inclusion proof for size {size}, got {len(proof)}")
    if computed != root:
        raise ProofError(f"the inclusion proof of entry {index} leads to another root hash")


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree (`old_size`, `old_root`) is the beginning of (`new_size`, `new_root`).

    Every tree begins with the empty one, whose only root is the hash of nothing.

    *Raises* ProofError when it is not, or when the proof has a hash too many or too few.
    """
    if not 0 <= old_size <= new_size:
        raise ProofError(f"expected sizes in ascending order, got {old_size} and {new_size}")
    _check_hashes(old_root, new_root, *proof)
    if (old_size == 0 and old_root != EMPTY_ROOT) or (new_size == 0 and new_root != EMPTY_ROOT):
        raise ProofError("expected the root hash of the empty tree for size 0, got another")
    if old_size in (0, new_size):
        if proof:
            raise ProofError(f"expected an empty proof for sizes {old_size} and {new_size}")
        if old_size == new_size and old_root != new_root:
            raise ProofError(f"two different root hashes for the same size {old_size}")
        return
    computed_old, computed_new = _roots_from_proof(old_size, new_size, old_root, proof)
    if computed_old != old_root:
        raise ProofError(f"the consistency proof leads to another root hash for size {old_size}")
    if computed_new != new_root:
        raise ProofError(f"the consistency proof leads to another root hash for size {new_size}")


def _roots_from_proof(
    old_size: int, new_size: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    # An old tree of 2^k leaves is itself a node of the new one, and the proof leaves it out.
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not proof:
        raise ProofError(f"expected a proof for sizes {old_size} and {new_size}, got none")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError(f"expected a shorter consistency proof for size {new_size}")
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError(f"expected a longer consistency proof for size {new_size}")
    return old, new


def _subproof(leaf_hashes: Sequence[bytes], old_size: int, *, known: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2; `known`: the verifier has this subtree's root."""
    size = len(leaf_hashes)
    if old_size == size:
        return [] if known else [root_hash(leaf_hashes)]
    split = 1 << ((size - 1).bit_length() - 1)
    left, right = leaf_hashes[:split], leaf_hashes[split:]
    if old_size <= split:
        return [*_subproof(left, old_size, known=known), root_hash(right)]
    return [*_subproof(right, old_size - split, known=False), root_hash(left)]


def _next_level(level: list[bytes]) -> list[bytes]:
    parents = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return parents + level[-1:] if len(level) % 2 else parents


def _check_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_SIZE_BYTES:
            raise ProofError(f"expected hashes of {HASH_SIZE_BYTES} bytes, got {len(value)}")
