"""Opening: the protocol by which a shared value becomes known to all parties.

For tests and rehearsals. In a run the parties never open a result among themselves: each sends
its output share, encrypted, to the recipient that the plan names, and only against a permit.
"""

from workers.mpc import encoding
from workers.mpc.protocol import Party, Protocol, Round
from workers.mpc.ring import RingVector
from workers.mpc.sharing import Share, reconstruct


def open_to_all(party: Party, share: Share) -> Protocol[RingVector]:
    """Return the secret, at every party.

    *Shapes*: a share of size m to (m,) uint64.
    *Cost*: 1 round; 8 m (n - 1) bytes sent by each party.
    *Security*: semi-honest; everyone learns the secret. An altered share shifts the result and is
    not noticed.
    """
    encoded = encoding.to_bytes(share.elements)
    arrived = yield Round(
        send=dict.fromkeys(party.others, encoded),
        expect=dict.fromkeys(party.others, len(encoded)),
    )
    received = [Share(encoding.from_bytes(message, share.size)) for message in arrived.values()]
    return reconstruct([share, *received])
