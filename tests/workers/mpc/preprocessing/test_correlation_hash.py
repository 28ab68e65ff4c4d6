"""The correlation hash against its formula, one block at a time."""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.workers.mpc.preprocessing.sessions import looks_uniform
from workers.mpc.preprocessing.correlation_hash import CorrelationHash
from workers.mpc.randomness import Randomness

KEY = bytes(range(16))
ROWS = Randomness(bytes(32)).words((5, 2))


def reference(row: bytes, tweak: int) -> bytes:
    def permute(block: bytes) -> bytes:
        return Cipher(algorithms.AES128(KEY), modes.ECB()).encryptor().update(block)

    def xor(left: bytes, right: bytes) -> bytes:
        return bytes(a ^ b for a, b in zip(left, right, strict=True))

    return xor(permute(xor(permute(row), tweak.to_bytes(16, "little"))), permute(row))


def test_every_pad_is_the_formula_with_the_next_tweak():
    for blocks in (1, 3):
        pads = CorrelationHash(KEY).pads(ROWS, 1000, blocks)
        assert pads.shape == (5, blocks, 2)
        for index in range(5 * blocks):
            row = ROWS[index // blocks].tobytes()
            assert pads[index // blocks, index % blocks].tobytes() == reference(row, 1000 + index)


def test_rows_that_differ_by_a_constant_have_unrelated_pads():
    rows = np.repeat(ROWS[:1], 2**14, axis=0)
    hashed = CorrelationHash(KEY)
    shifted = hashed.pads(rows ^ np.uint64(1), 0, 1)
    assert looks_uniform((hashed.pads(rows, 0, 1) ^ shifted).tobytes())
