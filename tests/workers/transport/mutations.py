"""What an evil relay can do with one message: the list that every sweep goes through.

A mutation gets the messages of all receivers so far (``past``, by receiver), the receiver and the
message, and returns what the receiver gets instead. Sweeps apply each to every message index.
"""

from collections.abc import Callable, Mapping, Sequence

from workers.transport.frames import ENVELOPE_BYTES, HEADER_BYTES

Past = Mapping[int, Sequence[bytes]]
Mutation = Callable[[Past, int, bytes], list[bytes]]

_SENDER, _RECEIVER, _SEQUENCE, _MORE = 19, 20, 28, 29


def _flipped(offset: int) -> Mutation:
    def mutate(_past: Past, _receiver: int, message: bytes) -> list[bytes]:
        changed = bytearray(message)
        changed[offset] ^= 1
        return [bytes(changed)]

    return mutate


def _in_header(offset: int) -> Mutation:
    return _flipped(ENVELOPE_BYTES + offset)


def _earlier(past: Past, receiver: int, message: bytes) -> list[bytes]:
    return [*past.get(receiver, [])[:1], message]


def _misdelivered(past: Past, receiver: int, message: bytes) -> list[bytes]:
    others = [messages[-1] for other, messages in past.items() if other != receiver and messages]
    return [*others[:1], message]


ALTERING: dict[str, Mutation] = {
    "magic flipped": _in_header(0),
    "session flipped": _in_header(5),
    "kind flipped": _in_header(18),
    "sender flipped": _in_header(_SENDER),
    "receiver flipped": _in_header(_RECEIVER),
    "sequence flipped": _in_header(_SEQUENCE),
    "more flipped": _in_header(_MORE),
    "ciphertext flipped": _in_header(HEADER_BYTES),
    "tag flipped": _flipped(-1),
    "truncated by one": lambda _past, _receiver, message: [message[:-1]],
    "truncated to header": lambda _past, _receiver, message: [message[: ENVELOPE_BYTES + 30]],
    "extended": lambda _past, _receiver, message: [message + b"\0"],
    "emptied": lambda _past, _receiver, _message: [b""],
    "zeroed": lambda _past, _receiver, message: [bytes(len(message))],
}
"""After any of these the receiver must refuse."""

HARMLESS: dict[str, Mutation] = {
    "duplicated": lambda _past, _receiver, message: [message, message],
    "earlier one replayed": _earlier,
    "envelope changed": _flipped(0),
}
"""These are ignored: the result must be unchanged."""

WITHHOLDING: dict[str, Mutation] = {
    "dropped": lambda _past, _receiver, _message: [],
    "misdelivered": _misdelivered,
}
"""These stop the session or change nothing."""

ALL = ALTERING | HARMLESS | WITHHOLDING
