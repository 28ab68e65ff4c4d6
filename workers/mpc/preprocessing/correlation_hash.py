"""The hash that breaks the correlation of extended transfers, from AES under one fixed key."""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from workers.mpc.preprocessing.bit_matrix import WORD, Words

BLOCK_BYTES = 16
BLOCK_WORDS = 2


class CorrelationHash:
    """TMMO: H(x, tweak) = P(P(x) + tweak) + P(x), where P is AES-128 under a public key, + is XOR.

    *Security*: tweakable and circular correlation robust if P is an ideal permutation, so it
    serves active security and garbling as well; 2^64 tweaks, each for one value only. The key is
    fresh for each session and direction, so that what is computed against one session does not
    help against another. *See* [GKWY20].
    """

    def __init__(self, key: bytes) -> None:
        # ECB is the permutation itself, applied to many blocks at once; nothing is encrypted.
        self._permutation = Cipher(algorithms.AES128(key), modes.ECB()).encryptor()  # noqa: S305

    def pads(self, rows: Words, first_tweak: int, blocks: int) -> Words:
        """Return ``blocks`` hashes of every row, each with the next tweak.

        *Shapes*: (m, 2) to (m, blocks, 2). *Cost*: m (1 + blocks) applications of AES.
        """
        permuted = self._permute(rows)
        if blocks > 1:
            permuted = np.repeat(permuted, blocks, axis=0)
        tweaked = permuted.copy()
        tweaked[:, 0] ^= np.arange(first_tweak, first_tweak + len(tweaked), dtype=WORD)
        pads = self._permute(tweaked)
        np.bitwise_xor(pads, permuted, out=pads)
        return pads.reshape(len(rows), blocks, BLOCK_WORDS)

    def _permute(self, words: Words) -> Words:
        # The library wants room for one more block than it writes.
        target = np.empty(words.size + BLOCK_WORDS, dtype=WORD)
        self._permutation.update_into(
            words.reshape(-1).view(np.uint8).data, target.view(np.uint8).data
        )
        return target[: words.size].reshape(words.shape)
