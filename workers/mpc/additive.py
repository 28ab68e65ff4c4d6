"""Secure sum in profile ``additive``: n of n parties, ring Z/2^64, semi-honest, n - 1 corrupted."""

import numpy as np

from workers.mpc import encoding
from workers.mpc.errors import LocalProtocolError
from workers.mpc.protocol import Party, Protocol, Round
from workers.mpc.ring import Range, RingVector, SignedVector, check_sum_fits, encode
from workers.mpc.sharing import Share, split

NOISE_SHARE_RANGE = Range(-(2**52), 2**52)
"""What a noise share may reach. Honest noise of scale s leaves it with probability below
exp(-2^52 / s): never, at any scale that leaves a result readable."""


def secure_sum(
    party: Party,
    values: SignedVector,
    *,
    input_range: Range,
    noise: SignedVector | None = None,
) -> Protocol[Share]:
    """Return this party's share of the sum of all parties' vectors and noise shares.

    All parties pass vectors of one length m, the same ``input_range``, and all or none of them
    noise; their study plan fixes these. Nothing is opened.

    *Shapes*: values and noise (m,) int64; a share of size m.
    *Cost*: 1 round; 8 m (n - 1) bytes sent by each party; no multiplication.
    *Security*: semi-honest, n - 1 of n parties corrupted; perfect, given perfect randomness. The
    parties learn nothing. If all output shares are opened afterwards, n - 1 colluding parties
    learn the sum of the others' values and noise, and nothing else. The range is each party's
    check of its own input: it does not stop a malicious party.
    *Raises* LocalProtocolError before anything is sent if an input or a noise share leaves its
    range, or if the sum could wrap.
    *See* [CDN15] section 1.3; noise shares: ``dp.noise``.
    """
    summands = [input_range] * party.n
    if noise is not None:
        summands += [NOISE_SHARE_RANGE] * party.n
    check_sum_fits(*summands)
    elements = encode(values, input_range)
    noise_elements = None if noise is None else _encode_noise(noise, elements.size)

    share = yield from share_and_add(party, elements)
    return share if noise_elements is None else share + Share(noise_elements)


def share_and_add(party: Party, elements: RingVector) -> Protocol[Share]:
    """Return this party's share of the ring sum of all parties' vectors; no range is checked.

    *Shapes*, *Cost*, *Security*: as :func:`secure_sum`.
    """
    shares = split(elements, party.n, party.randomness)
    size_bytes = elements.size * encoding.ELEMENT_BYTES
    arrived = yield Round(
        send={other: encoding.to_bytes(shares[other].elements) for other in party.others},
        expect=dict.fromkeys(party.others, size_bytes),
    )
    total = shares[party.id].elements.copy()
    for message in arrived.values():
        total += encoding.from_bytes(message, elements.size)
    return Share(total)


def _encode_noise(noise: SignedVector, size: int) -> RingVector:
    if noise.shape != (size,):
        raise LocalProtocolError(f"expected noise of shape ({size},), got {noise.shape}")
    return encode(np.asarray(noise), NOISE_SHARE_RANGE)
