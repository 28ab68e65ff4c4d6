"""Batches of products between two parties, as protocols: one sends transfers, one receives.

A batch takes one round more than it has chunks, because the offers for a chunk travel at the same
time as the choices of the next chunk.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from workers.mpc.preprocessing.batches import Batch, Block
from workers.mpc.preprocessing.transfers import Transfers
from workers.mpc.protocol import Buffer, PartyId, Protocol, Round
from workers.mpc.rings.base import Elements


def send_products(transfers: Transfers, peer: PartyId, batch: Batch[Any]) -> Protocol[None]:
    """Multiply our rows by the peer's scalars; our shares are added to the batch's sums.

    The peer runs :func:`receive_products` with a batch of the same shape.

    *Cost*: ``len(chunks) + 1`` rounds; sends the product's payload.
    *Security*: semi-honest; each party's shares alone are uniform.
    """
    pair, product = transfers.pair(peer), batch.product
    offers: list[Buffer] = []
    for chunk in [*batch.chunks(len(transfers.party.others)), ()]:
        corrections_bytes = sum(map(batch.correction_bytes, chunk))
        arrived = yield _round(peer, offers, corrections_bytes)
        offers = []
        for block, corrections in _cut(chunk, batch.correction_bytes, arrived, peer):
            first, second = pair.sender.extend(
                corrections, product.planes, block.words, product.pad_blocks
            )
            payload, shares = product.offer(first, second, batch.rows(block))
            offers += payload
            batch.collect(block, shares)


def receive_products(transfers: Transfers, peer: PartyId, batch: Batch[Any]) -> Protocol[None]:
    """Multiply our scalars by the peer's rows; our shares are added to the batch's sums.

    *Cost*: as :func:`send_products`; sends 256 bytes for every 64 transfers.
    *Security*: semi-honest; each party's shares alone are uniform.
    """
    pair, product = transfers.pair(peer), batch.product
    chunks = batch.chunks(len(transfers.party.others))
    previous: list[Elements] = []
    for waiting, chunk in pairwise([(), *chunks, ()]):
        corrections: list[Buffer] = []
        begun: list[Elements] = []
        for block in chunk:
            masked, pads = pair.receiver.extend(
                product.choices(batch.scalars(block)), product.pad_blocks
            )
            corrections.append(masked.reshape(-1).view("u1").data)
            begun.append(product.begin(pads))
        arrived = yield _round(peer, corrections, sum(map(batch.payload_bytes, waiting)))
        offers = _cut(waiting, batch.payload_bytes, arrived, peer)
        for (block, payload), start in zip(offers, previous, strict=True):
            batch.collect(block, product.finish(start, batch.scalars(block), payload))
        previous = begun


def _round(peer: PartyId, pieces: Sequence[Buffer], expected_bytes: int) -> Round:
    return Round(
        send={peer: b"".join(pieces)} if pieces else {},
        expect={peer: expected_bytes} if expected_bytes else {},
    )


def _cut(
    blocks: Sequence[Block],
    size_bytes: Callable[[Block], int],
    arrived: Mapping[PartyId, Buffer],
    peer: PartyId,
) -> Iterator[tuple[Block, memoryview]]:
    """Yield each block with its part of what arrived."""
    unread = memoryview(arrived[peer]) if blocks else memoryview(b"")
    for block in blocks:
        size = size_bytes(block)
        yield block, unread[:size]
        unread = unread[size:]
