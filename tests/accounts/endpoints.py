"""Every URL pattern of the portal, found by walking them, with an address that fits each."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

_EXAMPLES = {"slug": "nothing", "str": "nothing", "int": "1", None: "nothing"}


@dataclass(frozen=True)
class Endpoint:
    """One URL pattern: its route as written, an address it matches, and the view behind it."""

    route: str
    address: str
    view: Callable[..., Any]


def endpoints() -> Iterator[Endpoint]:
    """Yield every endpoint that the portal serves."""
    yield from _walk(get_resolver().url_patterns, "/", "/")


def _walk(patterns: list[Any], route: str, address: str) -> Iterator[Endpoint]:
    for entry in patterns:
        part = str(entry.pattern)
        address_part = re.sub(r"<(?:(\w+):)?\w+>", lambda found: _EXAMPLES[found[1]], part)
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, route + part, address + address_part)
        elif isinstance(entry, URLPattern):
            yield Endpoint(route + part, address + address_part, entry.callback)
