"""What the machine can do at most: measured in the same run, so that gaps can be read off."""

import socket
import threading
import time
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PIECE_BYTES = 2**18


def measure() -> dict[str, float]:
    """Return the machine's limits, each the best of five, one core unless the name says more."""
    return {
        "memory copy, GB/s": _memory_copy(),
        "uint64 products of 10^6 in cache, ms": _products(),
        "AES-256-CTR keystream, GB/s": _keystream(),
        "AES-256-GCM seal and open, GB/s": _sealing(),
        "loopback TCP with two threads, GB/s": _loopback(),
        "float64 matrix product 512 x 512 x 512, ms": _matrices(),
    }


def _best(work: Callable[[], object], repeat: int = 5) -> float:
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def _memory_copy() -> float:
    source = np.ones(2**24, dtype=np.uint64)
    target = np.empty_like(source)
    return 2 * source.nbytes / _best(lambda: np.copyto(target, source)) / 1e9


def _products() -> float:
    left = np.arange(2**14, dtype=np.uint64)
    target = np.empty_like(left)
    rounds = 10**6 // left.size

    def work() -> None:
        for _ in range(rounds):
            np.multiply(left, left, out=target)

    return _best(work) * 1e3


def _keystream() -> float:
    keystream = Cipher(algorithms.AES256(bytes(32)), modes.CTR(bytes(16))).encryptor()
    zeros, target = bytes(2**20), bytearray(2**20)

    def work() -> None:
        for _ in range(32):
            keystream.update_into(zeros, target)

    return 32 * 2**20 / _best(work) / 1e9


def _sealing() -> float:
    cipher = AESGCM(bytes(32))
    piece, sealed = bytearray(PIECE_BYTES), bytearray(PIECE_BYTES + 16)

    def work() -> None:
        for number in range(64):
            nonce = number.to_bytes(12, "big")
            cipher.encrypt_into(nonce, piece, None, sealed)
            cipher.decrypt_into(nonce, sealed, None, piece)

    return 64 * PIECE_BYTES / _best(work) / 1e9


def _loopback() -> float:
    total = 2**28
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()

    def send() -> None:
        piece = bytes(PIECE_BYTES)
        for _ in range(total // PIECE_BYTES):
            sender.sendall(piece)

    buffer = bytearray(PIECE_BYTES)
    thread = threading.Thread(target=send)
    begun = time.perf_counter()
    thread.start()
    left = total
    while left:
        left -= receiver.recv_into(buffer)
    seconds = time.perf_counter() - begun
    thread.join()
    sender.close()
    receiver.close()
    return total / seconds / 1e9


def _matrices() -> float:
    left = np.random.default_rng(1).random((512, 512))
    return _best(lambda: left @ left) * 1e3
