"""The extension: two unrelated pads for the sender, the chosen one for the receiver."""

import numpy as np
import pytest

from tests.workers.mpc.preprocessing.sessions import looks_uniform, session
from workers.mpc.errors import LocalProtocolError
from workers.mpc.preprocessing.bit_matrix import unpack_bits
from workers.mpc.preprocessing.correlation_hash import CorrelationHash
from workers.mpc.preprocessing.transfer_extension import BLOCK_WORD_COUNT, CORRECTION_BYTES
from workers.mpc.preprocessing.transfers import Pair
from workers.mpc.randomness import Randomness


def ends(seed: int = 0) -> tuple[Pair, Pair]:
    first, second = session(2, seed)
    return first.pair(second.party.id), second.pair(first.party.id)


@pytest.mark.parametrize(
    ("planes", "words", "blocks"), [(1, 1, 1), (64, 3, 1), (1, 1024, 1), (8, 5, 4)]
)
def test_the_receiver_has_the_pad_that_it_chose(planes, words, blocks):
    here, there = ends()
    for batch in range(3):  # the counters of both sides move on together
        choices = Randomness(bytes([batch]) * 32).words((planes, words))
        corrections, pads = there.receiver.extend(choices, blocks)
        assert corrections.nbytes == planes * words * CORRECTION_BYTES
        first, second = here.sender.extend(corrections.tobytes(), planes, words, blocks)
        bits = np.stack([unpack_bits(plane) for plane in choices])[..., np.newaxis]
        assert (pads == np.where(bits, second, first)).all()
        assert (first != second).any(axis=-1).all()


def test_a_wrong_correction_spoils_the_pad_of_its_transfer():
    here, there = ends()
    corrections, pads = there.receiver.extend(np.zeros((1, 1), dtype=np.uint64), 1)
    corrections[5, 0] ^= np.uint64(1)  # one bit: one tree's correction of transfer 0
    first, _ = here.sender.extend(corrections.tobytes(), 1, 1, 1)
    assert (first[0, 1:] == pads[0, 1:]).all()
    assert (first[0, 0] != pads[0, 0]).all()


def test_corrections_look_uniform_whatever_the_choices():
    """To the sender. The choices are masked by sums that include the stream that it lacks."""
    zeros = np.zeros((1, 512), dtype=np.uint64)
    messages = []
    for choices in (zeros, ~zeros):
        _, there = ends()
        corrections, _ = there.receiver.extend(choices, 1)
        messages.append(corrections)
        assert corrections.nbytes * 8 >= 10**6
        assert looks_uniform(corrections.tobytes())
    assert (messages[0] ^ messages[1] == ~np.uint64(0)).all(), "a choice flips its masks: one pad"


def test_no_stretch_of_a_keystream_or_a_pad_is_used_twice():
    here, there = ends()
    choices = np.zeros((1, 16), dtype=np.uint64)
    seen = []
    for _ in range(4):
        corrections, pads = there.receiver.extend(choices, 1)
        here.sender.extend(corrections.tobytes(), 1, 16, 1)
        seen += [*corrections.reshape(-1).tolist(), *pads[..., 0].reshape(-1).tolist()]
    assert len(set(seen)) == len(seen)


def test_both_pads_look_uniform_and_unrelated():
    here, there = ends()
    corrections, _ = there.receiver.extend(np.zeros((1, 1024), dtype=np.uint64), 1)
    first, second = here.sender.extend(corrections.tobytes(), 1, 1024, 1)
    for pads in (first, second, first ^ second):
        assert looks_uniform(pads.tobytes())


@pytest.mark.parametrize("words", [0, BLOCK_WORD_COUNT + 1])
def test_a_block_has_its_size(words):
    _, there = ends()
    with pytest.raises(LocalProtocolError):
        there.receiver.extend(np.zeros((1, words), dtype=np.uint64), 1)


def test_every_tweak_serves_one_transfer_and_both_sides_use_the_same(monkeypatch):
    used: dict[int, list[range]] = {}
    hash_pads = CorrelationHash.pads

    def recording(self, rows, first_tweak, blocks):
        tweaks = range(first_tweak, first_tweak + len(rows) * blocks)
        used.setdefault(id(self), []).append(tweaks)
        return hash_pads(self, rows, first_tweak, blocks)

    here, there = ends()
    monkeypatch.setattr(CorrelationHash, "pads", recording)
    for planes, words, blocks in ((1, 2, 1), (8, 1, 3), (1, 1, 1)):
        choices = np.zeros((planes, words), dtype=np.uint64)
        corrections, _ = there.receiver.extend(choices, blocks)
        here.sender.extend(corrections.tobytes(), planes, words, blocks)
    by_receiver, by_sender = used.values()
    assert by_receiver == [range(128), range(128, 1664), range(1664, 1728)]
    assert by_sender == [tweaks for tweaks in by_receiver for _ in (0, 1)], "once for each pad"
