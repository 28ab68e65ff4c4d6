"""Write the class documents to files: ``python -m studies.catalogue.export FOLDER``.

One file per class, ``kaplan-meier-1.json``, holding exactly the canonical bytes whose SHA-256 is
the class digest, so that ``sha256sum`` checks it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from audit import canonical
from studies.catalogue import CATALOGUE


def export(folder: Path) -> list[Path]:
    """Write every class document into `folder` and return the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for identifier, declaration in CATALOGUE.items():
        path = folder / f"{identifier.replace('/', '-')}.json"
        path.write_bytes(canonical.dumps(declaration.to_json()))
        written.append(path)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m studies.catalogue.export FOLDER")
    export(Path(sys.argv[1]))
