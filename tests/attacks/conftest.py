"""The site under attack: alder, as in tests/workers/party."""

from tests.workers.party.conftest import consortium, home

__all__ = ["consortium", "home"]
