"""Long vectors in bounded memory: chunk after chunk, each a protocol of its own.

The opposite of :func:`workers.mpc.protocol.in_parallel`: rounds are paid for every chunk, memory
for one chunk and the result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Protocol
from workers.mpc.ranges import Range
from workers.mpc.secret import Secret

T = TypeVar("T", Secret, npt.NDArray[Any])

CHUNK_ELEMENTS = 2**19


def in_chunks(
    work: Callable[[slice], Protocol[T]], length: int, chunk_elements: int = CHUNK_ELEMENTS
) -> Protocol[T]:
    """Return what ``work`` returns for the slices of a vector, one after the other, joined.

    *Shapes*: ``work`` of a slice of k elements returns a secret or an array of first axis k.
    *Cost*: the rounds of every chunk; the bytes of all together.
    *Raises* LocalProtocolError for an empty vector or a chunk of another length.
    """
    if length < 1 or chunk_elements < 1:
        raise LocalProtocolError("a vector and its chunks have one element or more")
    if length <= chunk_elements:
        return (yield from work(slice(0, length)))
    targets: list[npt.NDArray[Any]] = []
    declared: Range | None = None
    for start in range(0, length, chunk_elements):
        chunk = slice(start, min(start + chunk_elements, length))
        result = yield from work(chunk)
        parts: tuple[npt.NDArray[Any], ...]
        parts = result.parts if isinstance(result, Secret) else (result,)
        for index in range(len(parts)):
            piece: npt.NDArray[Any] = parts[index]
            if piece.shape[0] != chunk.stop - chunk.start:
                raise LocalProtocolError("a chunk's result has another length than the chunk")
            if start == 0:
                targets.append(np.empty((length, *piece.shape[1:]), dtype=piece.dtype))
            targets[index][chunk] = piece
        if isinstance(result, Secret):
            declared = result.range if declared is None else declared.union(result.range)
    if isinstance(result, Secret):
        assert declared is not None
        return Secret(result.engine, tuple(targets), result.ring, declared, result.fraction)
    return targets[0]
