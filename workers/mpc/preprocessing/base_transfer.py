"""Random oblivious transfers from elliptic curves: the few that an extension starts from.

Each party sends one message and may send it at once, because neither depends on the other::

    sender     A = a G                              32 bytes, for all transfers together
    receiver   R_c = b G - H(R_{1-c}), R_{1-c} random     R_0, R_1: 64 bytes for each transfer

    sender's keys    K_j = KDF(a (R_j + H(R_{1-j})))      both, j = 0, 1
    receiver's key   K_c = KDF(b A)                       the one that it chose

All group operations are libsodium's (Ed25519, its subgroup of prime order).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from nacl import bindings
from nacl.exceptions import CryptoError

from workers.mpc.errors import LocalProtocolError, RemoteProtocolError
from workers.mpc.protocol import Buffer, PartyId
from workers.mpc.randomness import Randomness

POINT_BYTES = bindings.crypto_core_ed25519_BYTES
KEY_BYTES = 16

_UNIFORM_BYTES = 64


@dataclass(frozen=True)
class Direction:
    """Which transfers these are: their session, who sends, who receives. Bound into every key."""

    session: bytes
    sender: PartyId
    receiver: PartyId

    def hash(self, purpose: bytes, *fields: bytes) -> bytes:
        """Return 64 bytes that depend on everything here, each length included."""
        digest = hashlib.sha512(b"quorate base transfer")
        own = (self.session, b"%d" % self.sender, b"%d" % self.receiver)
        for part in (purpose, *own, *fields):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        return digest.digest()


@dataclass(frozen=True)
class SenderOffer:
    """The sender's secret a and its message A."""

    direction: Direction
    secret: bytes = field(repr=False)
    message: bytes = field(repr=False)


@dataclass(frozen=True)
class ReceiverChoice:
    """The receiver's bits, its secrets b (one each) and its message R_0 R_1 R_0 R_1 ..."""

    direction: Direction
    bits: tuple[int, ...] = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    message: bytes = field(repr=False)


def offer(direction: Direction, randomness: Randomness) -> SenderOffer:
    """Return the sender's half. Its message has 32 bytes, however many transfers follow."""
    secret = _scalar(randomness)
    return SenderOffer(direction, secret, bindings.crypto_scalarmult_ed25519_base_noclamp(secret))


def choose(direction: Direction, bits: Sequence[int], randomness: Randomness) -> ReceiverChoice:
    """Return the receiver's half for its choice bits. Its message has 64 bytes for each.

    *Security*: R_0 and R_1 are uniform and independent whatever the bit, because b G is uniform:
    the message says nothing about the choice, without any assumption.
    """
    secrets, message = [], bytearray()
    for index, bit in enumerate(bits):
        if bit not in (0, 1):
            raise LocalProtocolError("a choice is 0 or 1")
        secret = _scalar(randomness)
        other = bindings.crypto_scalarmult_ed25519_base_noclamp(_scalar(randomness))
        own = bindings.crypto_core_ed25519_sub(
            bindings.crypto_scalarmult_ed25519_base_noclamp(secret),
            _hash_to_point(direction, index, 1 - bit, other),
        )
        secrets.append(secret)
        message += other + own if bit else own + other
    return ReceiverChoice(direction, tuple(bits), tuple(secrets), bytes(message))


def sender_keys(offered: SenderOffer, chosen: Buffer) -> list[tuple[bytes, bytes]]:
    """Return both keys of every transfer, of 16 bytes each.

    *Security*: the receiver knows at most one of the two, even if it deviates, under the gap
    Diffie-Hellman assumption with H and KDF as random oracles. Both take the transfer's number in,
    so one A serves all transfers. *Raises* RemoteProtocolError for anything but canonical points
    of the subgroup of prime order. *See* [MR19]; [MRR21] on one A for many transfers.
    """
    direction = offered.direction
    points = [bytes(chosen[at : at + POINT_BYTES]) for at in range(0, len(chosen), POINT_BYTES)]
    for point in points:
        _check_point(point, direction.receiver)
    context = hashlib.sha512(offered.message + bytes(chosen)).digest()
    keys = []
    for index, pair in enumerate(zip(points[::2], points[1::2], strict=True)):
        masked = [
            bindings.crypto_core_ed25519_add(
                pair[bit], _hash_to_point(direction, index, 1 - bit, pair[1 - bit])
            )
            for bit in (0, 1)
        ]
        first, second = (
            _key(
                direction,
                context,
                index,
                bit,
                _multiply(offered.secret, masked[bit], direction.receiver),
            )
            for bit in (0, 1)
        )
        keys.append((first, second))
    return keys


def receiver_keys(choice: ReceiverChoice, offered: Buffer) -> list[bytes]:
    """Return the chosen key of every transfer. *Raises* as :func:`sender_keys`."""
    direction = choice.direction
    point = bytes(offered)
    _check_point(point, direction.sender)
    context = hashlib.sha512(point + choice.message).digest()
    return [
        _key(direction, context, index, bit, _multiply(secret, point, direction.sender))
        for index, (bit, secret) in enumerate(zip(choice.bits, choice.secrets, strict=True))
    ]


def _scalar(randomness: Randomness) -> bytes:
    return bindings.crypto_core_ed25519_scalar_reduce(randomness.bytes(_UNIFORM_BYTES))


def _hash_to_point(direction: Direction, index: int, bit: int, point: bytes) -> bytes:
    """Return H(point): two Elligator maps added, which one alone would not make uniform.

    *See* [BCI+10]; [RFC9380] section 3, ``hash_to_curve``.
    """
    digest = direction.hash(b"point", b"%d" % index, b"%d" % bit, point)
    return bindings.crypto_core_ed25519_add(
        bindings.crypto_core_ed25519_from_uniform(digest[:32]),
        bindings.crypto_core_ed25519_from_uniform(digest[32:]),
    )


def _key(direction: Direction, context: bytes, index: int, bit: int, point: bytes) -> bytes:
    return direction.hash(b"key", context, b"%d" % index, b"%d" % bit, point)[:KEY_BYTES]


def _check_point(point: bytes, party: PartyId) -> None:
    if len(point) != POINT_BYTES or not bindings.crypto_core_ed25519_is_valid_point(point):
        raise RemoteProtocolError(
            f"party {party} sent a base transfer that is no point of the group", party=party
        )


def _multiply(scalar: bytes, point: bytes, party: PartyId) -> bytes:
    try:
        return bindings.crypto_scalarmult_ed25519_noclamp(scalar, point)
    except CryptoError as error:  # the identity: the library refuses it as a result
        raise RemoteProtocolError(
            f"party {party} sent base transfers that cancel out", party=party
        ) from error
