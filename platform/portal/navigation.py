"""What the page frame shows."""

from django.http import HttpRequest


def context(request: HttpRequest) -> dict[str, object]:
    """Return what every page's frame needs."""
    return {}
