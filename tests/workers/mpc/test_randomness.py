"""A party's randomness: AES-CTR, one stream for one seed and one process."""

import os
import pickle
import struct

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from workers.mpc.errors import LocalProtocolError
from workers.mpc.randomness import PIECE_BYTES, Randomness


def test_the_stream_is_aes_256_of_a_big_endian_counter():
    seed = bytes(range(32))
    # ECB is what CTR is defined by: this computes the blocks one by one.
    aes = Cipher(algorithms.AES256(seed), modes.ECB()).encryptor()
    blocks = aes.update(b"".join(struct.pack(">QQ", 0, counter) for counter in range(4)))
    assert Randomness(seed).words((8,)).tolist() == list(struct.unpack("<8Q", blocks))


def test_the_stream_does_not_depend_on_how_it_is_cut():
    size = 2 * PIECE_BYTES // 8 + 5
    whole = Randomness(b"c" * 32).words((size,))
    other = Randomness(b"c" * 32)
    cuts = [1, 0, 3, PIECE_BYTES // 8, size - PIECE_BYTES // 8 - 4]
    assert np.array_equal(whole, np.concatenate([other.words((cut,)) for cut in cuts]))
    assert whole.dtype == np.uint64


def test_streams_of_different_seeds_differ_and_a_stream_does_not_repeat():
    a, b = Randomness.fresh(), Randomness.fresh()
    drawn = np.concatenate([a.words((500,)), b.words((500,)), a.words((500,))])
    assert len(np.unique(drawn)) == 1500


def test_a_forked_child_is_refused():
    randomness = Randomness(bytes(32))
    child = os.fork()
    if child == 0:
        try:
            randomness.words((1,))
        except LocalProtocolError:
            os._exit(17)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 17
    assert randomness.words((1,)).size == 1


def test_randomness_resists_misuse():
    with pytest.raises(LocalProtocolError, match="32 bytes, not 16"):
        Randomness(bytes(16))
    with pytest.raises(LocalProtocolError, match="not negative"):
        Randomness(bytes(32)).words((-1,))
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(Randomness(bytes(32)))
    assert repr(Randomness(b"s" * 32)) == "<Randomness>"
