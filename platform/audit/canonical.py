"""Canonical JSON: one value, one sequence of bytes, one digest.

Everything in Quorate that is signed, hashed or logged is first written as RFC 8785 (JSON
Canonicalization Scheme) bytes: no white space, keys sorted by UTF-16 code units, UTF-8, no
escapes that are not needed. On top of RFC 8785 the values are restricted to those that every
JSON reader agrees about:

    null, true, false, text, integers with |n| < 2^53, arrays, objects with text keys

Floating-point numbers are refused, for two programs may print the same float differently; a
number that is not an integer travels as a decimal string ("0.25").

Example: ``dumps({"b": [1, None], "a": "é"})`` is ``b'{"a":"\\xc3\\xa9","b":[1,null]}'``.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, NoReturn

import rfc8785

MAX_DEPTH = 64
"""Containers inside one another; deeper values are refused before the stack is at risk."""

_INTEGER_BOUND = 2**53


class CanonicalError(ValueError):
    """A value or its bytes are not canonical JSON.

    ``path`` is where the offending value stands, as in ``$.cohort.criteria[2].age``; the value
    itself is never in the message.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


def dumps(value: Any) -> bytes:
    """Return the canonical bytes of `value`.

    *Raises* CanonicalError for a float, an integer outside (-2^53, 2^53), a tuple, a key that is
    not text, text that is not valid Unicode, or any other type.
    """
    _check(value, "$", 0)
    return rfc8785.dumps(value)


def loads(data: bytes) -> Any:
    """Return the value whose canonical bytes are `data`, so that ``dumps(loads(data)) == data``.

    *Raises* CanonicalError when `data` is not UTF-8, not JSON, has a key twice, a float or an
    integer out of range, or is correct JSON written in any but the canonical way.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CanonicalError("$", f"expected UTF-8, got a bad byte at {error.start}") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except CanonicalError:
        raise
    except json.JSONDecodeError as error:
        raise CanonicalError("$", f"expected JSON, got a fault at character {error.pos}") from None
    except RecursionError:
        raise CanonicalError("$", _too_deep()) from None
    except ValueError:  # Python refuses to convert integers of thousands of digits
        raise CanonicalError("$", "expected integers with |n| < 2^53, got a longer one") from None
    if dumps(value) != data:
        raise CanonicalError(
            "$",
            "expected canonical JSON (RFC 8785), got the same value spelt "
            "differently; write it with audit.canonical.dumps",
        )
    return value


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical bytes of `value`, as 64 lower-case hex digits."""
    return hashlib.sha256(dumps(value)).hexdigest()


def _check(value: Any, path: str, depth: int) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        if not -_INTEGER_BOUND < value < _INTEGER_BOUND:
            raise CanonicalError(
                path,
                "expected an integer with |n| < 2^53, got a larger one; "
                "write it as a decimal string",
            )
    elif isinstance(value, list):
        _check_depth(path, depth)
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, dict):
        _check_depth(path, depth)
        for key, item in value.items():
            if not isinstance(key, str):
                raise CanonicalError(path, f"expected text keys, got one of {type(key).__name__}")
            _check_text(key, path)
            _check(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, float):
        raise CanonicalError(
            path,
            "expected no floating-point number, got one; "
            "write it as an integer or a decimal string",
        )
    else:
        raise CanonicalError(
            path,
            "expected null, a truth value, text, an integer, a list or a "
            f"dict, got {type(value).__name__}",
        )


def _check_text(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalError(
            path, f"expected valid Unicode, got half a surrogate pair at character {error.start}"
        ) from None


def _check_depth(path: str, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise CanonicalError(path, _too_deep())


def _too_deep() -> str:
    return f"expected at most {MAX_DEPTH} containers inside one another, got more"


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise CanonicalError("$", "expected each key once in an object, got one twice")
    return value


def _refuse_number(_literal: str) -> NoReturn:
    raise CanonicalError(
        "$", "expected integers only, got a floating-point number; write it as a decimal string"
    )
