"""Direct channels between party processes of this machine: TCP on the loopback, every byte sealed.

Keys come from an X25519 exchange when the channel opens. A message travels in pieces of 256 KiB,
each sealed with AES-256-GCM under the next nonce of its direction, so that sealing, sending and
opening stay in the cache and overlap with the peers' work. Both ends know every size from the
round, so there are no headers.
"""

import select
import socket
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from workers.mpc.protocol import Buffer, PartyId, Round

PIECE_BYTES = 2**18
TAG_BYTES = 16
SOCKET_BUFFER_BYTES = 2**22


class _Peer:
    """One encrypted connection: what is left to send, what is left to receive."""

    def __init__(self, connection: socket.socket, own: int, peer: int) -> None:
        private = X25519PrivateKey.generate()
        connection.sendall(private.public_key().public_bytes_raw())
        theirs = _exactly(connection, 32)
        shared = private.exchange(X25519PublicKey.from_public_bytes(theirs))
        self._seal = AESGCM(_key(shared, own, peer))
        self._open = AESGCM(_key(shared, peer, own))
        self._sent, self._received = 0, 0
        self.connection = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            connection.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        connection.setblocking(False)
        self._out_buffer = bytearray(PIECE_BYTES + TAG_BYTES)
        self._in_buffer = memoryview(bytearray(PIECE_BYTES + TAG_BYTES))
        self._unsealed = memoryview(b"")
        self._unsent = memoryview(b"")
        self._target = memoryview(b"")
        self._filled = 0
        self._in_piece = 0

    def begin(self, message: Buffer | None, expected_bytes: int) -> memoryview:
        """Start a round; return the buffer that what is expected will stand in."""
        self._unsealed = memoryview(message or b"").cast("B")
        result = np.empty(expected_bytes, dtype=np.uint8).data
        self._target = result
        return result

    @property
    def sending(self) -> bool:
        return len(self._unsealed) > 0 or len(self._unsent) > 0

    @property
    def receiving(self) -> bool:
        return len(self._target) > 0

    def send(self) -> None:
        """Seal and send until the socket is full."""
        while self.sending:
            if not len(self._unsent):
                piece = self._unsealed[:PIECE_BYTES]
                self._unsealed = self._unsealed[PIECE_BYTES:]
                sealed = memoryview(self._out_buffer)[: len(piece) + TAG_BYTES]
                self._seal.encrypt_into(struct.pack(">4xQ", self._sent), piece, None, sealed)
                self._sent += 1
                self._unsent = sealed
            try:
                self._unsent = self._unsent[self.connection.send(self._unsent) :]
            except BlockingIOError:
                return

    def receive(self) -> None:
        """Receive and open until the socket is empty."""
        while self.receiving:
            piece_bytes = min(PIECE_BYTES, len(self._target))
            wanted = self._in_buffer[self._filled : piece_bytes + TAG_BYTES]
            try:
                count = self.connection.recv_into(wanted)
            except BlockingIOError:
                return
            if not count:
                raise SystemExit("a party of the benchmark is gone")
            self._filled += count
            if self._filled < piece_bytes + TAG_BYTES:
                continue
            sealed = self._in_buffer[: self._filled]
            nonce = struct.pack(">4xQ", self._received)
            self._open.decrypt_into(nonce, sealed, None, self._target[:piece_bytes])
            self._received += 1
            self._target, self._filled = self._target[piece_bytes:], 0


class LoopbackChannel:
    """One party's end; a :class:`workers.transport.channel.BlockingChannel` that counts."""

    def __init__(self, peers: Mapping[int, _Peer]) -> None:
        self._peers = peers
        self.rounds = 0
        self.bytes_sent = 0

    def exchange(self, round: Round) -> Mapping[PartyId, Buffer]:  # noqa: A002
        """Send one round and return what it expects."""
        self.rounds += bool(round.send or round.expect)
        self.bytes_sent += sum(len(message) for message in round.send.values())
        arriving: dict[PartyId, Buffer] = {}
        active = []
        for number in {*round.send, *round.expect}:
            peer = self._peers[number]
            expected = round.expect.get(number, 0)
            buffer = peer.begin(round.send.get(number), expected)
            if expected:
                arriving[number] = buffer
            active.append(peer)
        for peer in active:
            peer.send()
        while active:
            active = [peer for peer in active if peer.sending or peer.receiving]
            readers = [peer.connection for peer in active if peer.receiving]
            writers = [peer.connection for peer in active if peer.sending]
            if not active:
                break
            readable, writable, _ = select.select(readers, writers, [])
            for peer in active:
                if peer.connection in readable:
                    peer.receive()
                if peer.connection in writable:
                    peer.send()
        return arriving

    def barrier(self) -> None:
        """Return when every party has come this far."""
        everyone = [PartyId(number) for number in self._peers]
        self.exchange(Round(dict.fromkeys(everyone, b"x"), dict.fromkeys(everyone, 1)))
        self.rounds -= 1
        self.bytes_sent -= len(everyone)


def connect(own: int, listener: socket.socket, ports: Sequence[int]) -> LoopbackChannel:
    """Return this party's channel: it calls the parties before it and answers those behind it."""
    peers = {}
    for other in range(own):
        connection = socket.create_connection(("127.0.0.1", ports[other]))
        connection.sendall(bytes([own]))
        peers[other] = _Peer(connection, own, other)
    for _ in range(own + 1, len(ports)):
        connection, _ = listener.accept()
        other = _exactly(connection, 1)[0]
        peers[other] = _Peer(connection, own, other)
    return LoopbackChannel(peers)


def _key(shared: bytes, sender: int, receiver: int) -> bytes:
    info = b"quorate benchmark %d to %d" % (sender, receiver)
    return HKDF(hashes.SHA256(), 32, None, info).derive(shared)


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise SystemExit("a party of the benchmark is gone")
        received += piece
    return received
