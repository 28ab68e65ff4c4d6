"""Oblivious transfers as protocols: correlated over a ring, and random ones of single bits.

One party runs ``send_...`` and the other ``receive_...`` with the same number of transfers.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError
from workers.mpc.preprocessing.batches import CHUNK_BYTES, Elementwise
from workers.mpc.preprocessing.bit_matrix import WORD, WORD_BITS, Words, pack_lowest_bits
from workers.mpc.preprocessing.pairwise import receive_products, send_products
from workers.mpc.preprocessing.products import RingProduct
from workers.mpc.preprocessing.transfer_extension import BLOCK_WORD_COUNT, CORRECTION_BYTES
from workers.mpc.preprocessing.transfers import Transfers
from workers.mpc.protocol import PartyId, Protocol, Round
from workers.mpc.rings.base import Elements
from workers.mpc.rings.words import IntegersModuloPowerOfTwo

_CHUNK_WORDS = CHUNK_BYTES // CORRECTION_BYTES


def send_correlated(
    transfers: Transfers, peer: PartyId, ring: IntegersModuloPowerOfTwo, deltas: Elements
) -> Protocol[Elements]:
    """Return uniform r; the receiver gets r + choice * delta.

    *Shapes*: (m,) to (m,). *Cost*: with m rounded up to a multiple of 64, 4 m bytes come and
    m element_bytes go, in chunks + 1 rounds; a chunk has at most 8 MiB.
    *Security*: semi-honest; the sender learns nothing, the receiver only its value.
    *See* [ALSZ13].
    """
    batch = _correlated(ring, np.zeros(len(deltas), dtype=ring.dtype), deltas)
    with transfers.in_use():
        if batch.blocks:
            yield from send_products(transfers, peer, batch)
    return ring.negate(batch.sums[: len(deltas), 0])


def receive_correlated(
    transfers: Transfers,
    peer: PartyId,
    ring: IntegersModuloPowerOfTwo,
    choices: npt.NDArray[np.uint8],
) -> Protocol[Elements]:
    """Return r + choice * delta. As :func:`send_correlated`; ``choices`` are zeros and ones."""
    if (choices > 1).any():
        raise LocalProtocolError("a choice is 0 or 1")
    batch = _correlated(ring, choices.astype(ring.dtype), ring.zeros(choices.shape))
    with transfers.in_use():
        if batch.blocks:
            yield from receive_products(transfers, peer, batch)
    return batch.sums[: len(choices), 0]


def send_random_bits(
    transfers: Transfers, peer: PartyId, words: int
) -> Protocol[tuple[Words, Words]]:
    """Return two uniform bits for each transfer, 64 transfers in a word.

    *Shapes*: two arrays (words,). *Cost*: 256 bytes for each word come; a round for each started
    32,768 words. *Security*: semi-honest; the receiver learns the bit that it chose.
    """
    first, second = np.empty(words, dtype=WORD), np.empty(words, dtype=WORD)
    with transfers.in_use():
        sender = transfers.pair(peer).sender
        for start, stop in _spans(0, words, _CHUNK_WORDS):
            arrived = yield Round({}, {peer: (stop - start) * CORRECTION_BYTES})
            for low, high in _spans(start, stop, BLOCK_WORD_COUNT):
                at = (low - start) * CORRECTION_BYTES
                corrections = arrived[peer][at : at + (high - low) * CORRECTION_BYTES]
                zero, one = sender.extend(corrections, 1, high - low, 1)
                first[low:high] = pack_lowest_bits(zero[0, :, 0])
                second[low:high] = pack_lowest_bits(one[0, :, 0])
    return first, second


def receive_random_bits(transfers: Transfers, peer: PartyId, choices: Words) -> Protocol[Words]:
    """Return the chosen bit of each transfer. As :func:`send_random_bits`; choices (words,)."""
    chosen = np.empty_like(choices)
    with transfers.in_use():
        receiver = transfers.pair(peer).receiver
        for start, stop in _spans(0, len(choices), _CHUNK_WORDS):
            corrections = []
            for low, high in _spans(start, stop, BLOCK_WORD_COUNT):
                masked, pads = receiver.extend(choices[np.newaxis, low:high], 1)
                corrections.append(masked.tobytes())
                chosen[low:high] = pack_lowest_bits(pads[0, :, 0])
            yield Round({peer: b"".join(corrections)}, {})
    return chosen


def _correlated(
    ring: IntegersModuloPowerOfTwo, choices: Elements, deltas: Elements
) -> Elementwise[RingProduct]:
    padding = (0, -len(choices) % WORD_BITS)
    sums = ring.zeros((len(choices) + padding[1], 1))
    rows = np.pad(deltas, padding)[:, np.newaxis]
    return Elementwise(RingProduct(ring, planes=1), ring, np.pad(choices, padding), rows, sums)


def _spans(start: int, stop: int, size: int) -> Iterator[tuple[int, int]]:
    return ((low, min(low + size, stop)) for low in range(start, stop, size))
