"""An exported log: everything an auditor needs to check it away from the portal.

A text file, one canonical JSON object a line: a header, the checkpoints by size, the entries by
index. An entry's `leaf` is its exact bytes as text.

    {"checkpoints":1,"entries":2,"format":"quorate-audit-bundle/1"}
    {"cosignatures":["— site-a jWbP..."],"note":"portal.example/quorate-log\\n2\\n..."}
    {"chain_hash":"6ad1...","leaf":"{\\"actor\\":\\"console\\", ..."}
    {"chain_hash":"0b7e...","leaf":"{\\"actor\\":\\"m-4f2a\\", ..."}

Keys are not in it: whom to believe is the auditor's to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from audit import canonical
from audit.checkpoint import Checkpoint
from audit.signed_note import NoteError, SignedNote
from audit.verification import StoredCheckpoint, StoredEntry

FORMAT = "quorate-audit-bundle/1"
MAX_LINE_SIZE_BYTES = 1_000_000


class BundleError(ValueError):
    """A file is not a bundle; the message names the line."""


def write(
    file: BinaryIO,
    *,
    size: int,
    entries: Iterable[StoredEntry],
    checkpoints: Sequence[StoredCheckpoint],
) -> None:
    """Write the log of `size` entries to `file`."""
    header = {"checkpoints": len(checkpoints), "entries": size, "format": FORMAT}
    file.write(canonical.dumps(header) + b"\n")
    for head in checkpoints:
        value: Any = {"cosignatures": list(head.cosignatures), "note": head.note}
        file.write(canonical.dumps(value) + b"\n")
    for entry in entries:
        value = {"chain_hash": entry.chain_hash, "leaf": entry.leaf.decode()}
        file.write(canonical.dumps(value) + b"\n")


def read(file: BinaryIO) -> tuple[list[StoredCheckpoint], Iterator[StoredEntry]]:
    """Return the checkpoints of the bundle in `file`, and its entries as they are read.

    *Raises* BundleError for the first line that is not as it should be, also while the entries
    are being read. Whether the log is intact is for `audit.verification`.
    """
    lines = _lines(file)
    number, header = next(lines, (1, {}))
    if header.keys() != {"checkpoints", "entries", "format"} or header["format"] != FORMAT:
        raise BundleError(f"line {number}: expected the header of a {FORMAT}")
    if not all(_is_count(header[key]) for key in ("checkpoints", "entries")):
        raise BundleError(f"line {number}: expected how many checkpoints and entries follow")
    heads = [_head(*_next(lines, number)) for _ in range(header["checkpoints"])]
    return heads, _entries(lines, header["entries"], number + len(heads))


def _entries(
    lines: Iterator[tuple[int, dict[str, Any]]], count: int, number: int
) -> Iterator[StoredEntry]:
    for index in range(count):
        number, value = _next(lines, number)
        if value.keys() != {"chain_hash", "leaf"} or not all(map(_is_text, value.values())):
            raise BundleError(f"line {number}: expected an entry")
        yield StoredEntry(index, value["leaf"].encode(), value["chain_hash"])
    if next(lines, None) is not None:
        raise BundleError(f"line {number + 1}: expected the end of the bundle, got more")


def _head(number: int, value: dict[str, Any]) -> StoredCheckpoint:
    lines = value.get("cosignatures")
    if (
        value.keys() != {"cosignatures", "note"}
        or not _is_text(value["note"])
        or not isinstance(lines, list)
        or not all(map(_is_text, lines))
    ):
        raise BundleError(f"line {number}: expected a checkpoint")
    try:
        head = Checkpoint.parse(SignedNote.parse(value["note"]).text)
    except NoteError as error:
        raise BundleError(f"line {number}: expected a checkpoint: {error}") from None
    return StoredCheckpoint(value["note"], tuple(lines), head.size, head.root.hex())


def _lines(file: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    while line := file.readline(MAX_LINE_SIZE_BYTES):
        number += 1
        if not line.endswith(b"\n"):
            raise BundleError(f"line {number}: expected a whole line; the file was cut short")
        try:
            value = canonical.loads(line[:-1])
        except canonical.CanonicalError as error:
            raise BundleError(f"line {number}: {error}") from None
        if not isinstance(value, dict):
            raise BundleError(f"line {number}: expected an object")
        yield number, value


def _next(lines: Iterator[tuple[int, dict[str, Any]]], number: int) -> tuple[int, dict[str, Any]]:
    found = next(lines, None)
    if found is None:
        raise BundleError(f"line {number + 1}: expected more lines; the file was cut short")
    return found


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
