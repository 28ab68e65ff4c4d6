"""A data file that gives out its rows only when told: a run stops there for as long as wanted.

The file becomes a named pipe. A worker that opens it waits inside the kernel, its inputs due, the
session's other parties waiting for it: a point in mid-run that a test can rely on without timing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.patience import eventually


class HeldData:
    """The pipe at `path`, and the rows that the file there had."""

    def __init__(self, path: Path, rows: bytes) -> None:
        self._path = path
        self._rows = rows
        self._writer: int | None = None

    def wait_for_reader(self) -> None:
        """Return when a worker has opened the file and waits for its first row."""
        eventually(self._meets_reader, f"somebody to read {self._path}")

    def give_out(self) -> None:
        """Let the worker that waits have all rows."""
        self.wait_for_reader()
        assert self._writer is not None
        # A pipe takes 64 KiB at once; the demo's lung data are less than 10.
        assert os.write(self._writer, self._rows) == len(self._rows)
        self._close()

    def release(self) -> None:
        """Make the file an ordinary one again: from now on nobody waits."""
        if self._path.is_fifo():
            self._close()
            self._path.unlink()
            self._path.write_bytes(self._rows)

    def _meets_reader(self) -> bool:
        if self._writer is None:
            try:
                self._writer = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
        return self._writer is not None

    def _close(self) -> None:
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None


@contextmanager
def held(path: Path) -> Iterator[HeldData]:
    """Hold back the rows of the file at `path`; it is an ordinary file again afterwards."""
    rows = path.read_bytes()
    path.unlink()
    os.mkfifo(path)
    data = HeldData(path, rows)
    try:
        yield data
    finally:
        data.release()
