"""Millions of oblivious transfers from 128 base transfers: SoftSpokenOT over GF(16).

Chosen over IKNP because it sends a quarter of the bytes (4 instead of 16 for each transfer) at
about the same time on AES hardware, and because active security adds two checks (of the seed
trees and of the choices) without changing anything here. With trees of depth 1 it is IKNP.

For transfer j the sender holds a row q_j of 128 bits and the receiver a row t_j with::

    q_j = t_j + c_j D        c_j: the receiver's choice; D: the sender's secret, fixed; +: XOR

so H(q_j) and H(q_j + D) are two pads, of which the receiver knows the c_j-th, H(t_j). Transfers
are numbered (plane, r, w), shape (planes, 64, words), and chosen by bit r of ``choices[plane, w]``.

*See* [Roy22], [IKNP03].
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from workers.mpc.errors import LocalProtocolError
from workers.mpc.preprocessing.bit_matrix import WORD, WORD_BITS, Words, transpose_in_place
from workers.mpc.preprocessing.correlation_hash import BLOCK_WORDS, CorrelationHash
from workers.mpc.preprocessing.seed_trees import DEPTH, SEEDS
from workers.mpc.protocol import Buffer

BASE_TRANSFERS = 128
TREES = BASE_TRANSFERS // DEPTH
CORRECTION_BYTES = TREES * WORD.itemsize
"""What the receiver sends for 64 transfers."""
BLOCK_TRANSFERS = 2**16
"""The most transfers that are extended at once, so that their rows stay in the cache."""
BLOCK_WORD_COUNT = BLOCK_TRANSFERS // WORD_BITS

_TREES_AT_ONCE = 4
_ZEROS = bytes(BLOCK_WORD_COUNT * WORD.itemsize)


class TransferReceiver:
    """The receiver's side of all transfers of one direction: whole trees.

    *Security*: semi-honest. The corrections are masked by sums of all 16 keystreams of a tree, of
    which the sender lacks one: they look uniform to it. Each keystream moves on by what it gave,
    so no part of it is used twice.
    """

    def __init__(self, seeds: Sequence[Sequence[bytes]], hash_key: bytes) -> None:
        self._keystreams = _Keystreams(seeds, missing=None)
        self._hash = CorrelationHash(hash_key)
        self._tweak = 0

    def extend(self, choices: Words, blocks: int) -> tuple[Words, Words]:
        """Return the corrections to send and the pads of the choices.

        *Shapes*: (planes, words) to (32, planes * words) and (planes, 64 * words, 2 * blocks).
        """
        masks, bits = self._keystreams.fold(choices.size)
        np.bitwise_xor(masks, choices.reshape(-1), out=masks)
        pads = self._hash.pads(_rows(bits, choices.shape), self._tweak, blocks)
        self._tweak += 64 * choices.size * blocks
        return masks, pads.reshape(len(choices), -1, BLOCK_WORDS * blocks)


class TransferSender:
    """The sender's side: every tree but its seed at the position that is four bits of D.

    *Security*: semi-honest. D is secret as long as the base transfers hide choices, and both pads
    look independent to the receiver because it knows one of two values that differ by D.
    """

    def __init__(
        self, seeds: Sequence[Sequence[bytes]], positions: Sequence[int], hash_key: bytes
    ) -> None:
        # Seed number x stands at x + position, so that the missing seed is always the first and
        # folding multiplies every keystream by its distance from the position.
        shifted = [
            [tree[number ^ position] for number in range(SEEDS)]
            for tree, position in zip(seeds, positions, strict=True)
        ]
        self._keystreams = _Keystreams(shifted, missing=0)
        bits = [position >> bit & 1 for position in positions for bit in range(DEPTH)]
        self._where = np.array(bits, dtype=WORD).reshape(TREES, DEPTH, 1) * WORD.type(2**64 - 1)
        self._difference = np.packbits(np.array(bits, dtype=np.uint8), bitorder="little").view(WORD)
        self._hash = CorrelationHash(hash_key)
        self._tweak = 0

    def extend(
        self, corrections: Buffer, planes: int, words: int, blocks: int
    ) -> tuple[Words, Words]:
        """Return both pads of every transfer, those of choice 0 first.

        *Shapes*: 256 * planes * words bytes to twice (planes, 64 * words, 2 * blocks).
        """
        _, bits = self._keystreams.fold(planes * words)
        received = np.frombuffer(corrections, dtype=WORD).reshape(TREES, 1, planes * words)
        by_tree = bits.reshape(TREES, DEPTH, -1)
        np.bitwise_xor(by_tree, received & self._where, out=by_tree)
        rows = _rows(bits, (planes, words))
        first = self._hash.pads(rows, self._tweak, blocks)
        np.bitwise_xor(rows, self._difference, out=rows)
        second = self._hash.pads(rows, self._tweak, blocks)
        self._tweak += 64 * planes * words * blocks
        shape = (planes, WORD_BITS * words, BLOCK_WORDS * blocks)
        return first.reshape(shape), second.reshape(shape)


class _Keystreams:
    """The AES-CTR keystreams of all seeds of one side, and their sums."""

    def __init__(self, seeds: Sequence[Sequence[bytes]], missing: int | None) -> None:
        if len(seeds) != TREES or any(len(tree) != SEEDS for tree in seeds):
            raise LocalProtocolError(f"an extension takes {TREES} trees of {SEEDS} seeds")
        self._trees = [
            [(number, _keystream(seed)) for number, seed in enumerate(tree) if number != missing]
            for tree in seeds
        ]

    def fold(self, words: int) -> tuple[Words, Words]:
        """Return, for every tree, the sum of its streams and the four bits of sum(number * stream).

        *Shapes*: (32, words) and (128, words), at most 1024 words. A missing stream counts as 0.
        """
        if not 0 < words <= BLOCK_WORD_COUNT:
            raise LocalProtocolError(f"an extension takes 1 to {BLOCK_WORD_COUNT} words at once")
        sums = np.empty((TREES, words), dtype=WORD)
        bits = np.empty((TREES, DEPTH, words), dtype=WORD)
        streams = np.zeros((_TREES_AT_ONCE, SEEDS, words), dtype=WORD)
        for start in range(0, TREES, _TREES_AT_ONCE):
            trees = slice(start, start + _TREES_AT_ONCE)
            self._fill(streams, self._trees[trees])
            part = streams
            for bit in reversed(range(DEPTH)):
                low, high = part[:, : 2**bit], part[:, 2**bit :]
                np.bitwise_xor.reduce(high, axis=1, out=bits[trees, bit])
                part = low ^ high
            sums[trees] = part[:, 0]
        return sums, bits.reshape(BASE_TRANSFERS, words)

    @staticmethod
    def _fill(streams: Words, trees: Sequence[Sequence[tuple[int, CipherContext]]]) -> None:
        size_bytes = streams.shape[-1] * WORD.itemsize
        zeros = memoryview(_ZEROS)[:size_bytes]
        target = streams.reshape(-1).view(np.uint8).data
        for index, tree in enumerate(trees):
            for number, keystream in tree:
                start = (index * SEEDS + number) * size_bytes
                keystream.update_into(zeros, target[start : start + size_bytes])


def _keystream(seed: bytes) -> CipherContext:
    # The first counter is secret as well, so that one search cannot try many seeds at once.
    key = hashlib.sha256(b"quorate keystream" + seed).digest()
    return Cipher(algorithms.AES128(key[:16]), modes.CTR(key[16:])).encryptor()


def _rows(bits: Words, shape: tuple[int, ...]) -> Words:
    """Return the columns of a matrix of bits as rows, ordered (plane, r, w).

    *Shapes*: (128, planes * words) to (planes * 64 * words, 2).
    """
    planes, words = shape
    halves = bits.reshape(2, WORD_BITS, planes * words)
    transpose_in_place(halves)
    rows = np.empty((planes, WORD_BITS, words, 2), dtype=WORD)
    for half in (0, 1):
        rows[..., half] = halves[half].reshape(WORD_BITS, planes, words).swapaxes(0, 1)
    return rows.reshape(-1, 2)
