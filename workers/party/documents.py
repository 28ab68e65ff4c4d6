"""The files of a site's folder: read strictly, written whole or not at all, closed to others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema

from workers.party.errors import HomeError


def read_document(path: Path) -> Any:
    """Return the JSON in `path`. *Raises* HomeError naming the file, never its content."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HomeError(f"{path} is missing: run 'site-agent init'") from None
    except (ValueError, OSError) as error:
        raise HomeError(f"{path} cannot be read as JSON: {type(error).__name__}") from None


def write_document(path: Path, document: Any) -> None:
    """Write `document` to `path`, readable by people; whole or not at all."""
    write_private(path, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")


def write_private(path: Path, data: bytes) -> None:
    """Write `data` to `path` with mode 0600; whole or not at all, even if the machine dies."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def check_document(document: object, schema: dict[str, Any], name: str) -> None:
    """Check a document of this folder. *Raises* HomeError naming the field."""
    error = next(jsonschema.Draft202012Validator(schema).iter_errors(document), None)
    if error is not None:
        place = error.json_path.removeprefix("$").lstrip(".") or "the document"
        raise HomeError(f"{name}: {place} is not as expected ({error.validator} of its schema)")
