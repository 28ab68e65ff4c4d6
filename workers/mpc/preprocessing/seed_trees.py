"""All seeds of a tree but one: what small-field transfers extend.

A tree doubles a root four times into 16 seeds. Who made it knows all of them; the other party
knows all but the one at its secret position, and which that is stays its secret. Child x of node
j in level l has number j + 2^l x, so that level l decides bit l of a seed's number.
"""

import hashlib
from collections.abc import Sequence
from functools import reduce

from workers.mpc.preprocessing.base_transfer import KEY_BYTES
from workers.mpc.protocol import Buffer
from workers.mpc.randomness import Randomness

DEPTH = 4
"""The bits of a position: more of them save bytes and cost keystreams."""
SEEDS = 2**DEPTH
TREE_BYTES = 2 * DEPTH * KEY_BYTES
"""What is sent for one tree."""


def plant(keys: Sequence[tuple[bytes, bytes]], randomness: Randomness) -> tuple[list[bytes], bytes]:
    """Return a new tree's 16 seeds, and the message with which the other party grows 15 of them.

    ``keys`` are both keys of four base transfers. The message holds, for every level, the XOR of
    all its left nodes and of all its right nodes, each under the key of its side.
    *Security*: semi-honest; active security adds a check of the sums. *See* [Roy22].
    """
    nodes = [randomness.bytes(KEY_BYTES)]
    message = b""
    for pair in keys:
        left, right = zip(*map(_children, nodes), strict=True)
        nodes = [*left, *right]
        message += _xor(*left, pair[0]) + _xor(*right, pair[1])
    return nodes, message


def grow(keys: Sequence[bytes], position: int, message: Buffer) -> list[bytes]:
    """Return the seeds of the other party's tree, with zeros at ``position``.

    ``keys`` are those that the four base transfers gave for the complement of the position's bits.
    """
    nodes, missing = [bytes(KEY_BYTES)], 0
    for level, key in enumerate(keys):
        pairs = [_children(node) for node in nodes]
        pairs[missing] = (bytes(KEY_BYTES), bytes(KEY_BYTES))
        sides = [[pair[side] for pair in pairs] for side in (0, 1)]
        side = 1 - (position >> level & 1)
        at = (2 * level + side) * KEY_BYTES
        sides[side][missing] = _xor(*sides[side], key, bytes(message[at : at + KEY_BYTES]))
        nodes = sides[0] + sides[1]
        missing = position & (2 ** (level + 1) - 1)
    return nodes


def _children(node: bytes) -> tuple[bytes, bytes]:
    digest = hashlib.sha256(b"quorate seed tree" + node).digest()
    return digest[:KEY_BYTES], digest[KEY_BYTES:]


def _xor(*strings: bytes) -> bytes:
    return reduce(lambda left, right: left ^ right, (int.from_bytes(s) for s in strings)).to_bytes(
        KEY_BYTES
    )
